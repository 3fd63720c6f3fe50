// Command tessera appends entries to a Tessera POSIX log and says how long that took: the rival of
// benchmarks/ledger.py.
//
//	tessera -dir DIR -entries N [-from FILE | -size BYTES] -concurrency C -batch B -age DURATION
//
// It prints one line of JSON. An append counts when its future resolves. At that moment Tessera's
// POSIX driver (v1.0.4) has the entry bundle, the tiles and its tree state on disk: each file is
// written with O_SYNC under a temporary name, renamed, and its folder is synced. The entry is then
// in the tree, but no checkpoint signs it yet: that is published apart, at most ten times a second,
// and `integrated_*` is the time until one did. The log lives in DIR, which must be new or empty;
// `bytes` is what its files hold afterwards, with the partial tiles and bundles that a later garbage
// collection would remove, and `bytes_collected` is without those.
//
// Each of C clients waits for its append before it makes the next one, so C bounds how many are
// in flight: with many, batches fill to B entries; with one, each append waits for DURATION.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

const publishEvery = 100 * time.Millisecond // the least that the driver takes

type options struct {
	dir, from                  string
	entries, size, concurrency int
	batch                      uint
	age                        time.Duration
}

// result is in the units that its names say; a latency is that of one append.
type result struct {
	Entries         int     `json:"entries"`
	Seconds         float64 `json:"seconds"`
	P50MS           float64 `json:"p50_ms"`
	P99MS           float64 `json:"p99_ms"`
	IntegratedP50MS float64 `json:"integrated_p50_ms"`
	IntegratedP99MS float64 `json:"integrated_p99_ms"`
	Bytes           int64   `json:"bytes"`
	BytesCollected  int64   `json:"bytes_collected"`
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "folder of the new log")
	flag.StringVar(&o.from, "from", "", "file of entries, one a line")
	flag.IntVar(&o.entries, "entries", 1000, "how many to append")
	flag.IntVar(&o.size, "size", 128, "length of each entry in bytes, without -from")
	flag.IntVar(&o.concurrency, "concurrency", 256, "clients at once")
	flag.UintVar(&o.batch, "batch", 256, "most entries of a batch")
	flag.DurationVar(&o.age, "age", 10*time.Millisecond, "longest that a batch waits to fill")
	flag.Parse()
	var quiet flag.FlagSet
	klog.InitFlags(&quiet)
	_ = quiet.Set("stderrthreshold", "FATAL")
	_ = quiet.Set("logtostderr", "false")
	measured, err := run(o)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(measured)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o options) (*result, error) {
	if o.dir == "" || o.entries < 1 || o.concurrency < 1 {
		return nil, errors.New("-dir, -entries and -concurrency are needed")
	}
	if found, _ := os.ReadDir(o.dir); len(found) > 0 {
		return nil, fmt.Errorf("%s is not empty", o.dir)
	}
	entries, err := entriesOf(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	secret, _, err := note.GenerateKey(rand.Reader, "bench.example/tessera")
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: o.dir})
	if err != nil {
		return nil, err
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(publishEvery).
		WithBatching(o.batch, o.age).
		WithPushback(uint(o.concurrency)+1).
		WithGarbageCollectionInterval(0))
	if err != nil {
		return nil, err
	}
	published := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, time.Millisecond)
	measured, err := measure(ctx, appender, published, entries, o.concurrency)
	if err != nil {
		return nil, err
	}
	if err := shutdown(ctx); err != nil {
		return nil, err
	}
	measured.Bytes, measured.BytesCollected, err = stored(o.dir)
	return measured, err
}

// measure times the appends; waiting for publication goes on beside them and is not counted.
func measure(
	ctx context.Context, appender *tessera.Appender, published *tessera.PublicationAwaiter,
	entries [][]byte, concurrency int,
) (*result, error) {
	durable := make([]time.Duration, len(entries))
	integrated := make([]time.Duration, len(entries))
	failures := make(chan error, 2*len(entries))
	var clients, awaiting sync.WaitGroup
	var next atomic.Int64
	start := time.Now()
	for range concurrency {
		clients.Go(func() {
			for at := next.Add(1) - 1; at < int64(len(entries)); at = next.Add(1) - 1 {
				began := time.Now()
				future := appender.Add(ctx, tessera.NewEntry(entries[at]))
				if _, err := future(); err != nil {
					failures <- err
					return
				}
				durable[at] = time.Since(began)
				awaiting.Go(func() {
					if _, _, err := published.Await(ctx, future); err != nil {
						failures <- err
					}
					integrated[at] = time.Since(began)
				})
			}
		})
	}
	clients.Wait()
	seconds := time.Since(start).Seconds()
	awaiting.Wait()
	if len(failures) > 0 {
		return nil, <-failures
	}
	return &result{
		Entries:         len(entries),
		Seconds:         seconds,
		P50MS:           percentile(durable, 50),
		P99MS:           percentile(durable, 99),
		IntegratedP50MS: percentile(integrated, 50),
		IntegratedP99MS: percentile(integrated, 99),
	}, nil
}

func percentile(values []time.Duration, percent int) float64 {
	slices.Sort(values)
	return float64(values[(len(values)-1)*percent/100].Microseconds()) / 1000
}

func entriesOf(o options) ([][]byte, error) {
	var entries [][]byte
	if o.from == "" {
		for range o.entries {
			entry := make([]byte, o.size)
			_, _ = rand.Read(entry)
			entries = append(entries, entry)
		}
		return entries, nil
	}
	file, err := os.Open(o.from)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for len(entries) < o.entries && lines.Scan() {
		entries = append(entries, bytes.Clone(lines.Bytes()))
	}
	if len(entries) < o.entries {
		return nil, fmt.Errorf("%s has only %d entries", o.from, len(entries))
	}
	return entries, lines.Err()
}

// stored is the length of all the log's files, and of those that garbage collection would leave.
func stored(dir string) (all, collected int64, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		all += info.Size()
		folder, isPartial := strings.CutSuffix(filepath.Dir(path), ".p")
		if _, missing := os.Stat(folder); !isPartial || missing != nil {
			collected += info.Size()
		}
		return nil
	})
	return all, collected, err
}
