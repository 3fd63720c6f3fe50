// Command check looks at what QuantumAI wrote with libraries that QuantumAI did not write.
//
// Each form prints one JSON document; it exits with 1 and one line on stderr where something does
// not hold. Verifier keys (vkeys) are those of C2SP signed-note.
//
//	check note VKEY...  < note           who of VKEY signed the note
//	check quorum N VKEY... < note        whether N of the witnesses VKEY cosigned it
//	check log ROOT ORIGIN VKEY           every tile, bundle and the root of a log (folder or URL)
//	check update ROOT ORIGIN VKEY < old  that the log extends an older checkpoint of it
//	check proofs < proofs.json           verdicts on inclusion and consistency proofs
//	check build ROOT SIZE < asked.json   such proofs, built from the log's tiles
//	check proof-file ORIGIN VKEY ENTRY < proof   that ENTRY (base64) is in the log
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"k8s.io/klog/v2"
)

var forms = map[string]func(arguments []string, input io.Reader) (any, error){
	"note":       checkNote,
	"quorum":     checkQuorum,
	"log":        checkLog,
	"update":     checkUpdate,
	"proofs":     checkProofs,
	"build":      buildProofs,
	"proof-file": checkProofFile,
}

var errUsage = errors.New("usage: see the comment at the top of main.go")

func main() {
	var quiet flag.FlagSet
	klog.InitFlags(&quiet)
	_ = quiet.Set("stderrthreshold", "FATAL")
	_ = quiet.Set("logtostderr", "false")
	if len(os.Args) < 2 || forms[os.Args[1]] == nil {
		fail(errUsage)
	}
	found, err := forms[os.Args[1]](os.Args[2:], os.Stdin)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
