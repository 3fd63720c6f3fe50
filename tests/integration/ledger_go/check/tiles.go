package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
)

// fetcherOf reads a log's files from a folder, or over HTTP where root is a URL.
func fetcherOf(root string) (fsck.Fetcher, error) {
	if !strings.HasPrefix(root, "http://") {
		if _, err := os.Stat(root); err != nil {
			return nil, err
		}
		return client.FileFetcher{Root: root}, nil
	}
	address, err := url.Parse(root)
	if err != nil {
		return nil, err
	}
	return client.NewHTTPFetcher(address, nil)
}

// checkLog rebuilds every tile and the root from the entries and compares all that is stored.
func checkLog(arguments []string, _ io.Reader) (any, error) {
	if len(arguments) != 3 {
		return nil, errUsage
	}
	fetcher, err := fetcherOf(arguments[0])
	if err != nil {
		return nil, err
	}
	verifier, _, err := verifierOf(arguments[2])
	if err != nil {
		return nil, err
	}
	// A worker ends at the first wrong tile, and the check waits for ever when all have ended.
	checked := fsck.New(arguments[1], verifier, fetcher, bundleHashes, fsck.Opts{N: 64})
	if err := checked.Check(context.Background()); err != nil {
		return nil, err
	}
	status := checked.Status()
	levels := make([]uint64, 0, len(status.TileRanges))
	for level, ranges := range status.TileRanges {
		count, err := sound(fmt.Sprintf("tiles of level %d", level), ranges)
		if err != nil {
			return nil, err
		}
		levels = append(levels, count)
	}
	bundles, err := sound("entry bundles", status.EntryRanges)
	if err != nil {
		return nil, err
	}
	return map[string]any{"tiles": levels, "bundles": bundles}, nil
}

// sound counts resources, all of which must have been found right.
func sound(what string, ranges []fsck.Range) (uint64, error) {
	count := uint64(0)
	for _, r := range ranges {
		if r.State != fsck.OK {
			return 0, fmt.Errorf("%s: %v", what, r)
		}
		count += r.N
	}
	return count, nil
}

func bundleHashes(data []byte) ([][]byte, error) {
	bundle := api.EntryBundle{}
	if err := bundle.UnmarshalText(data); err != nil {
		return nil, err
	}
	hashes := make([][]byte, 0, len(bundle.Entries))
	for _, entry := range bundle.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

// checkUpdate follows a log from an older checkpoint as a client of tlog-tiles does.
func checkUpdate(arguments []string, input io.Reader) (any, error) {
	if len(arguments) != 3 {
		return nil, errUsage
	}
	old, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	fetcher, err := fetcherOf(arguments[0])
	if err != nil {
		return nil, err
	}
	verifier, _, err := verifierOf(arguments[2])
	if err != nil {
		return nil, err
	}
	ctx, origin := context.Background(), arguments[1]
	newest := client.UnilateralConsensus(fetcher.ReadCheckpoint)
	tracker, err := client.NewLogStateTracker(ctx, fetcher.ReadTile, old, verifier, origin, newest)
	if err != nil {
		return nil, err
	}
	before := tracker.Latest()
	_, path, _, err := tracker.Update(ctx)
	if err != nil {
		return nil, err
	}
	latest := tracker.Latest()
	return map[string]any{"from": before.Size, "size": latest.Size, "proof": path}, nil
}
