package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/transparency-dev/formats/log"
	fproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
)

// claim is an inclusion proof (with a leaf hash) or a consistency proof (with an older root).
type claim struct {
	Leaf  []byte   `json:"leaf,omitempty"`  // leaf hash
	Index uint64   `json:"index,omitempty"` // of the leaf
	First uint64   `json:"first,omitempty"` // size of the older tree
	Older []byte   `json:"older,omitempty"` // its root
	Size  uint64   `json:"size"`
	Root  []byte   `json:"root"`
	Proof [][]byte `json:"proof"`
}

func (c claim) check() error {
	if c.Leaf != nil {
		return proof.VerifyInclusion(rfc6962.DefaultHasher, c.Index, c.Size, c.Leaf, c.Proof, c.Root)
	}
	return proof.VerifyConsistency(
		rfc6962.DefaultHasher, c.First, c.Size, c.Proof, c.Older, c.Root)
}

func checkProofs(_ []string, input io.Reader) (any, error) {
	var claims []claim
	if err := json.NewDecoder(input).Decode(&claims); err != nil {
		return nil, err
	}
	reasons := make([]string, 0, len(claims))
	for _, c := range claims {
		reason := ""
		if err := c.check(); err != nil {
			reason = err.Error()
		}
		reasons = append(reasons, reason)
	}
	return reasons, nil
}

// buildProofs takes a list of [index] and [first, second]; the tree has SIZE leaves.
func buildProofs(arguments []string, input io.Reader) (any, error) {
	if len(arguments) != 2 {
		return nil, errUsage
	}
	fetcher, err := fetcherOf(arguments[0])
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseUint(arguments[1], 10, 64)
	if err != nil {
		return nil, err
	}
	var asked [][]uint64
	if err := json.NewDecoder(input).Decode(&asked); err != nil {
		return nil, err
	}
	ctx := context.Background()
	builder, err := client.NewProofBuilder(ctx, size, fetcher.ReadTile)
	if err != nil {
		return nil, err
	}
	built := make([][][]byte, 0, len(asked))
	for _, numbers := range asked {
		var path [][]byte
		if len(numbers) == 1 {
			path, err = builder.InclusionProof(ctx, numbers[0])
		} else {
			path, err = builder.ConsistencyProof(ctx, numbers[0], numbers[1])
		}
		if err != nil {
			return nil, err
		}
		built = append(built, path)
	}
	return built, nil
}

// checkProofFile verifies a tlog-proof: checkpoint, path, and that it has only one spelling.
func checkProofFile(arguments []string, input io.Reader) (any, error) {
	if len(arguments) != 3 {
		return nil, errUsage
	}
	data, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	entry, err := base64.StdEncoding.DecodeString(arguments[2])
	if err != nil {
		return nil, err
	}
	var parsed fproof.TLogProof
	if err := parsed.Unmarshal(data); err != nil {
		return nil, err
	}
	if !bytes.Equal(parsed.Marshal(), data) {
		return nil, errors.New("formats/proof would write this proof file with other bytes")
	}
	verifier, _, err := verifierOf(arguments[1])
	if err != nil {
		return nil, err
	}
	head, _, _, err := log.ParseCheckpoint(parsed.Checkpoint, arguments[0], verifier)
	if err != nil {
		return nil, err
	}
	path := make([][]byte, 0, len(parsed.Hashes))
	for i := range parsed.Hashes {
		path = append(path, parsed.Hashes[i][:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	if err := (claim{Leaf: leaf, Index: parsed.Index, Size: head.Size, Root: head.Hash, Proof: path}).check(); err != nil {
		return nil, err
	}
	return map[string]any{"index": parsed.Index, "size": head.Size, "extra": parsed.ExtraData}, nil
}
