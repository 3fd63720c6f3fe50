package main

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strconv"

	fproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
)

type inclusion struct {
	Index int      `json:"index"`
	Size  int      `json:"size"`
	Leaf  []byte   `json:"leaf"`
	Root  []byte   `json:"root"`
	Proof [][]byte `json:"proof"`
}

type consistency struct {
	First int      `json:"first"`
	Size  int      `json:"size"`
	Older []byte   `json:"older"`
	Root  []byte   `json:"root"`
	Proof [][]byte `json:"proof"`
}

// writeProofs proves leaves at the borders of tiles and every pair of sizes, from the log's tiles.
// The roots come from the entries by merkle/compact, not from the checkpoints.
func writeProofs(dir string, sizes []int, entries [][]byte) error {
	ctx := context.Background()
	files := client.FileFetcher{Root: filepath.Join(dir, "log")}
	roots, err := rootsOf(sizes, entries)
	if err != nil {
		return err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf
	var inclusions []inclusion
	var consistencies []consistency
	for at, size := range sizes {
		builder, err := client.NewProofBuilder(ctx, uint64(size), files.ReadTile)
		if err != nil {
			return err
		}
		for _, index := range []int{0, 1, 254, 255, 256, 257, 511, 512, 65535, 65536, size / 2, size - 1} {
			if index >= size {
				continue
			}
			path, err := builder.InclusionProof(ctx, uint64(index))
			if err != nil {
				return err
			}
			inclusions = append(inclusions,
				inclusion{index, size, leaf(entries[index]), roots[size], path})
			if at == len(sizes)-1 {
				if err := writeProofFile(dir, index, size, path); err != nil {
					return err
				}
			}
		}
		for _, first := range sizes[:at+1] {
			path, err := builder.ConsistencyProof(ctx, uint64(first), uint64(size))
			if err != nil {
				return err
			}
			consistencies = append(consistencies,
				consistency{first, size, roots[first], roots[size], path})
		}
	}
	return writeJSON(dir, "proofs.json",
		map[string]any{"inclusion": inclusions, "consistency": consistencies})
}

func rootsOf(sizes []int, entries [][]byte) (map[int][]byte, error) {
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	tree := factory.NewEmptyRange(0)
	roots := map[int][]byte{}
	done := 0
	for _, size := range sizes {
		for ; done < size; done++ {
			if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(entries[done]), nil); err != nil {
				return nil, err
			}
		}
		root, err := tree.GetRootHash(nil)
		if err != nil {
			return nil, err
		}
		roots[size] = root
	}
	return roots, nil
}

func writeProofFile(dir string, index, size int, path [][]byte) error {
	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoints", strconv.Itoa(size)))
	if err != nil {
		return err
	}
	made := fproof.TLogProof{Index: uint64(index), Checkpoint: checkpoint}
	for _, node := range path {
		made.Hashes = append(made.Hashes, [sha256.Size]byte(node))
	}
	name := filepath.Join(dir, "proofs", strconv.Itoa(index))
	return os.WriteFile(name, made.Marshal(), 0o644)
}
