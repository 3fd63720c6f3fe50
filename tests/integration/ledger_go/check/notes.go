package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
)

const (
	typeEd25519     = 0x01
	typeCosignature = 0x04
	typeMLDSA44     = 0x06
)

type signature struct {
	Name      string `json:"name"`
	Type      int    `json:"type"`
	Timestamp int64  `json:"timestamp"` // POSIX seconds; 0 where the type has none
}

// verifierOf reads a vkey: plain Ed25519 by Go's own sumdb/note, all others by formats/note.
func verifierOf(vkey string) (note.Verifier, int, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, 0, fmt.Errorf("not a vkey: %q", vkey)
	}
	typed, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(typed) == 0 {
		return nil, 0, fmt.Errorf("not a vkey: %q", vkey)
	}
	kind := int(typed[0])
	if kind == typeEd25519 {
		verifier, err := note.NewVerifier(vkey)
		return verifier, kind, err
	}
	verifier, err := fnote.NewVerifier(vkey)
	return verifier, kind, err
}

func checkNote(vkeys []string, input io.Reader) (any, error) {
	data, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	var verifiers []note.Verifier
	kinds := map[string]int{}
	for _, vkey := range vkeys {
		verifier, kind, err := verifierOf(vkey)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, verifier)
		kinds[keyOf(verifier.Name(), verifier.KeyHash())] = kind
	}
	opened, err := note.Open(data, note.VerifierList(verifiers...))
	if err != nil {
		return nil, err
	}
	var head log.Checkpoint
	rest, err := head.Unmarshal([]byte(opened.Text))
	if err != nil {
		return nil, err
	}
	signed := []signature{}
	for _, s := range opened.Sigs {
		found := signature{Name: s.Name, Type: kinds[keyOf(s.Name, s.Hash)]}
		if found.Type == typeCosignature || found.Type == typeMLDSA44 {
			at, err := fnote.CoSigV1Timestamp(s)
			if err != nil {
				return nil, err
			}
			found.Timestamp = at.Unix()
		}
		signed = append(signed, found)
	}
	return map[string]any{
		"origin":     head.Origin,
		"size":       head.Size,
		"root":       head.Hash,
		"extensions": string(rest),
		"signed":     signed,
		"unverified": len(opened.UnverifiedSigs),
	}, nil
}

func checkQuorum(arguments []string, input io.Reader) (any, error) {
	if len(arguments) < 2 {
		return nil, errUsage
	}
	data, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	policy := ""
	for i, vkey := range arguments[1:] {
		policy += fmt.Sprintf("witness w%d %s http://unused.invalid/\n", i, vkey)
	}
	policy += "group g " + arguments[0]
	for i := range arguments[1:] {
		policy += " w" + strconv.Itoa(i)
	}
	group, err := witness.ParsePolicy([]byte(policy + "\nquorum g\n"))
	if err != nil {
		return nil, err
	}
	return map[string]bool{"satisfied": group.Satisfied(data)}, nil
}

func keyOf(name string, hash uint32) string {
	return fmt.Sprintf("%s+%08x", name, hash)
}
