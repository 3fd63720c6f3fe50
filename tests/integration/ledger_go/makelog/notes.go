package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// keyRing holds a log's two signers and two witnesses, made for one run.
type keyRing struct {
	log, logPQC, witness, witnessPQC note.Signer

	vkeys struct {
		Log        string `json:"log"`         // 0x01
		LogPQC     string `json:"log_pqc"`     // 0x06
		Witness    string `json:"witness"`     // 0x04
		WitnessPQC string `json:"witness_pqc"` // 0x06
	}
}

func makeKey(file, origin string) error {
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return err
	}
	fmt.Println(public)
	return os.WriteFile(file, []byte(secret+"\n"+public), 0o600)
}

func logKey(file, origin string) (secret, public string, err error) {
	if file == "" {
		return note.GenerateKey(rand.Reader, origin)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	secret, public, _ = strings.Cut(string(data), "\n")
	return secret, public, nil
}

func newKeys(origin, file string) (*keyRing, error) {
	keys := &keyRing{}
	secret, public, err := logKey(file, origin)
	if err != nil {
		return nil, err
	}
	if keys.log, err = note.NewSigner(secret); err != nil {
		return nil, err
	}
	keys.vkeys.Log = public
	if keys.logPQC, keys.vkeys.LogPQC, err = newMLDSA(origin); err != nil {
		return nil, err
	}
	secret, public, err = note.GenerateKey(rand.Reader, "witness.example/ed25519")
	if err != nil {
		return nil, err
	}
	if keys.witness, err = fnote.NewSignerForCosignatureV1(secret); err != nil {
		return nil, err
	}
	if keys.vkeys.Witness, err = fnote.VKeyToCosignatureV1(public); err != nil {
		return nil, err
	}
	keys.witnessPQC, keys.vkeys.WitnessPQC, err = newMLDSA("witness.example/ml-dsa-44")
	return keys, err
}

func newMLDSA(name string) (note.Signer, string, error) {
	secret, public, err := fnote.GenerateMLDSAKey(name)
	if err != nil {
		return nil, "", err
	}
	signer, err := fnote.NewMLDSASigner(secret)
	return signer, public, err
}

// writeNotes adds the witnesses' cosignatures to the last checkpoint.
func writeNotes(dir string, keys *keyRing, size int) error {
	data, err := os.ReadFile(filepath.Join(dir, "checkpoints", strconv.Itoa(size)))
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(keys.vkeys.Log)
	if err != nil {
		return err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	cosigned, err := note.Sign(opened, keys.witness, keys.witnessPQC)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "cosigned"), cosigned, 0o644); err != nil {
		return err
	}
	return writeJSON(dir, "vkeys.json", keys.vkeys)
}
