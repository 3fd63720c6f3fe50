// Package proof is put into a copy of transparency-dev/merkle/proof, whose two verifying functions
// are renamed there. It writes down what they are asked in that module's own tests, and answer.
package proof

import (
	"encoding/json"
	"os"
	"sync"

	"github.com/transparency-dev/merkle"
)

type call struct {
	Kind    string   `json:"kind"`
	Numbers []uint64 `json:"numbers"` // index and size, or both sizes
	Hashes  [][]byte `json:"hashes"`  // leaf and root, or both roots
	Proof   [][]byte `json:"proof"`
	Holds   bool     `json:"holds"`
}

var writing sync.Mutex

// VerifyInclusion records a call of the real one.
func VerifyInclusion(hasher merkle.LogHasher, index, size uint64, leafHash []byte, proof [][]byte, root []byte) error {
	err := recordedVerifyInclusion(hasher, index, size, leafHash, proof, root)
	record(call{"inclusion", []uint64{index, size}, [][]byte{leafHash, root}, proof, err == nil})
	return err
}

// VerifyConsistency records a call of the real one.
func VerifyConsistency(hasher merkle.LogHasher, size1, size2 uint64, proof [][]byte, root1, root2 []byte) error {
	err := recordedVerifyConsistency(hasher, size1, size2, proof, root1, root2)
	record(call{"consistency", []uint64{size1, size2}, [][]byte{root1, root2}, proof, err == nil})
	return err
}

func record(made call) {
	writing.Lock()
	defer writing.Unlock()
	file, err := os.OpenFile(os.Getenv("RECORD_CALLS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer func() { _ = file.Close() }()
	if err := json.NewEncoder(file).Encode(made); err != nil {
		panic(err)
	}
}
