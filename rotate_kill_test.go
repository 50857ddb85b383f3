package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
)

// rotateIn is the environment variable that makes the test binary a process that rotates
// the data key of the store in that directory.
const rotateIn = "NEBULA_TEST_ROTATE_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(rotateIn); dir != "" {
		s, err := openLocal(context.Background(), dir)
		if err == nil {
			var result nebula.RotateResult
			if result, err = s.Rotate(context.Background(), nebula.RotateOptions{}); err == nil {
				err = destroyOld(context.Background(), s, 5)
			}
			err = errors.Join(err, s.Close())
			fmt.Print(result.KeyID)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func openLocal(ctx context.Context, dir string) (*nebula.Store, error) {
	config := local.DefaultConfig()
	config.BasePath = filepath.Join(dir, "credentials")
	p, err := local.New(config)
	if err != nil {
		return nil, err
	}
	return nebula.Open(ctx, p, nebula.Options{Keys: []nebula.Key{&nebula.KeyFile{Path: filepath.Join(dir, "key")}}})
}

// A process that rotates a store of 1,000 files is killed again and again, while others
// write and read. Every credential can be read at all times. At the end none is under
// an old key, and no acknowledged write is lost.
func TestRotateKilledOnFiles(t *testing.T) {
	const records, kills = 1000, 8
	dir := t.TempDir()
	if err := nebula.CreateKeyFile(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	s, err := openLocal(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Init(t.Context(), &nebula.KeyFile{Path: filepath.Join(dir, "key")}); err != nil {
		t.Fatal(err)
	}
	id := func(i int) nebula.ID { return nebula.ID(fmt.Sprint("x", i)) }
	var fill sync.WaitGroup
	for w := range 16 {
		fill.Go(func() {
			for i := w; i < records; i += 16 {
				if _, err := s.Put(t.Context(), id(i), nebula.NewSecret([]byte("0")), nebula.PutOptions{IfAbsent: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	fill.Wait()
	if t.Failed() {
		return
	}

	ctx, stop := context.WithCancel(t.Context())
	var last [records]atomic.Int64
	var beside sync.WaitGroup
	for w := range 2 {
		other, err := openLocal(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		beside.Go(func() { // each writer has ids of its own
			for n := int64(1); ctx.Err() == nil; n++ {
				i := rand.IntN(records/2)*2 + w
				if _, err := other.Put(t.Context(), id(i), nebula.NewSecret([]byte(fmt.Sprint(n))), nebula.PutOptions{}); err != nil {
					t.Errorf("writing %s: %v", id(i), err)
					return
				}
				last[i].Store(n)
			}
		})
		beside.Go(func() {
			for ctx.Err() == nil {
				if _, err := other.Get(t.Context(), id(rand.IntN(records))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	killed := 0
	for try := 0; ; try++ {
		rotation := exec.Command(os.Args[0])
		rotation.Env = append(os.Environ(), rotateIn+"="+dir)
		var problem strings.Builder
		rotation.Stderr = &problem
		if err := rotation.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(rand.N(400*time.Millisecond), func() {
			if try < kills {
				_ = rotation.Process.Kill()
			}
		})
		err := rotation.Wait()
		timer.Stop()
		if err == nil && try >= kills {
			break
		}
		if err != nil && problem.Len() > 0 {
			t.Fatalf("rotating failed: %s", problem.String())
		}
		if err != nil {
			killed++
		}
	}
	stop()
	beside.Wait()
	if killed == 0 {
		t.Error("no rotation was killed before its end")
	}
	info, err := s.Keys(t.Context())
	if err != nil || info.Rotating {
		t.Fatalf("at the end the keyring is %+v, %v", info, err)
	}
	p, _ := local.New(local.Config{BasePath: filepath.Join(dir, "credentials"), FileExtension: "enc.json", EnableLocking: true})
	life := p.(nebula.Connector)
	if err := life.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer life.Close()
	for i := range records {
		c, err := s.Get(t.Context(), id(i))
		if want := fmt.Sprint(last[i].Load()); err != nil || string(c.Secret.Reveal()) != want {
			t.Errorf("%s is %q, %v, the last write acknowledged was %s", id(i), c.Secret.Reveal(), err, want)
		}
		name, _ := id(i).Name()
		if r, err := p.Retrieve(t.Context(), name); err != nil || r.Envelope.KeyID() != info.ID {
			t.Errorf("%s is not under the current key: %v", id(i), err)
		}
	}
}
