// Command makelog writes a log with other people's libraries, for QuantumAI to verify.
//
//	makelog -dir DIR -origin ORIGIN -sizes 1,255,256,1000 [-key FILE] [-policy FILE] < entries
//	makelog -origin ORIGIN -new-key FILE       make an Ed25519 key for -key; prints its vkey
//
// One entry a line. A Tessera POSIX log grows to each of the sizes in turn. DIR then holds
//
//	log/                  the log's files as Tessera left them
//	checkpoints/SIZE      the checkpoint at each size, signed by Ed25519 and ML-DSA-44 log keys
//	cosigned              the last one with the cosignatures of two witnesses (0x04 and 0x06)
//	proofs/INDEX          tlog-proof files at the last size
//	proofs.json           inclusion and consistency proofs at all sizes
//	vkeys.json            the verifier keys; the private keys but that of -key are thrown away
//
// With -policy (a tlog witness policy) Tessera asks those witnesses before it publishes.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"k8s.io/klog/v2"
)

const publishEvery = 100 * time.Millisecond // the least that Tessera takes

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	dir := flag.String("dir", "", "folder to write")
	origin := flag.String("origin", "example.com/log", "the log's origin")
	sizeList := flag.String("sizes", "", "sizes to stop at, rising")
	policy := flag.String("policy", "", "file with a witness policy")
	keyFile := flag.String("key", "", "file with the log's Ed25519 key")
	newKey := flag.String("new-key", "", "make such a file and do nothing else")
	var quiet flag.FlagSet
	klog.InitFlags(&quiet)
	_ = quiet.Set("stderrthreshold", "FATAL")
	_ = quiet.Set("logtostderr", "false")
	flag.Parse()
	if *newKey != "" {
		return makeKey(*newKey, *origin)
	}
	sizes, err := parseSizes(*sizeList)
	if err != nil {
		return err
	}
	entries := readLines(sizes[len(sizes)-1])
	if len(entries) < sizes[len(sizes)-1] {
		return fmt.Errorf("%d entries were given, not %d", len(entries), sizes[len(sizes)-1])
	}
	keys, err := newKeys(*origin, *keyFile)
	if err != nil {
		return err
	}
	for _, name := range []string{"checkpoints", "proofs"} {
		if err := os.MkdirAll(filepath.Join(*dir, name), 0o755); err != nil {
			return err
		}
	}
	if err := grow(*dir, keys, sizes, entries, *policy); err != nil {
		return err
	}
	if err := writeProofs(*dir, sizes, entries); err != nil {
		return err
	}
	return writeNotes(*dir, keys, sizes[len(sizes)-1])
}

func parseSizes(list string) ([]int, error) {
	var sizes []int
	for part := range strings.SplitSeq(list, ",") {
		size, err := strconv.Atoi(part)
		if err != nil || size < 1 || (len(sizes) > 0 && size <= sizes[len(sizes)-1]) {
			return nil, fmt.Errorf("sizes must rise: %q", list)
		}
		sizes = append(sizes, size)
	}
	return sizes, nil
}

func readLines(most int) [][]byte {
	var entries [][]byte
	lines := bufio.NewScanner(os.Stdin)
	for len(entries) < most && lines.Scan() {
		entries = append(entries, append([]byte{}, lines.Bytes()...))
	}
	return entries
}

// grow appends the entries and keeps the checkpoint at each of the sizes.
func grow(dir string, keys *keyRing, sizes []int, entries [][]byte, policy string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(dir, "log")})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(keys.log, keys.logPQC).
		WithCheckpointInterval(publishEvery).
		WithBatching(4096, 10*time.Millisecond).
		WithPushback(uint(len(entries) + 1))
	if policy != "" {
		text, err := os.ReadFile(policy)
		if err != nil {
			return err
		}
		group, err := tessera.NewWitnessGroupFromPolicy(text)
		if err != nil {
			return err
		}
		options = options.WithWitnesses(group, &tessera.WitnessOptions{Timeout: 10 * time.Second})
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return err
	}
	published := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, publishEvery/10)
	done := 0
	for _, size := range sizes {
		var last tessera.IndexFuture
		for ; done < size; done++ {
			last = appender.Add(ctx, tessera.NewEntry(entries[done]))
		}
		index, checkpoint, err := published.Await(ctx, last)
		if err != nil {
			return err
		}
		if index.Index != uint64(size-1) {
			return fmt.Errorf("the last entry got index %d, not %d", index.Index, size-1)
		}
		name := filepath.Join(dir, "checkpoints", strconv.Itoa(size))
		if err := os.WriteFile(name, checkpoint, 0o644); err != nil {
			return err
		}
	}
	return shutdown(ctx)
}

func writeJSON(dir, name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), data, 0o644)
}
