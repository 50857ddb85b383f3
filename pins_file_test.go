package nebula_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

func setPin(pin nebula.Pin) func(nebula.Pin, bool) (nebula.Pin, bool) {
	return func(nebula.Pin, bool) (nebula.Pin, bool) { return pin, true }
}

func pinFile(dir string) *nebula.PinFile {
	return nebula.NewPinFile(filepath.Join(dir, "known_stores"))
}

func TestPinFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "nebula")
	f := pinFile(dir)
	if _, found, err := f.Load("local:/a"); found || err != nil {
		t.Fatalf("a file that is not there gave %t, %v", found, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("looking something up made the directory")
	}
	want := nebula.Pin{KeyID: nebula.KeyID{1, 2, 3}, Generation: 1<<53 - 1, SeenAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}
	for _, address := range []string{"local:/a", "local:/with space and \"quotes\"", "vault:<https://é>"} {
		if err := f.Update(address, setPin(want)); err != nil {
			t.Fatal(err)
		}
		if got, found, err := pinFile(dir).Load(address); got != want || !found || err != nil {
			t.Errorf("%s: %+v, %t, %v", address, got, found, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "known_stores")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if err := f.Update("local:/a", func(nebula.Pin, bool) (nebula.Pin, bool) { return nebula.Pin{}, false }); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := f.Load("local:/a"); found {
		t.Error("a pin that was removed is there")
	}
}

func TestPinFileConcurrentUpdates(t *testing.T) {
	f := pinFile(t.TempDir())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				err := f.Update("shared", func(old nebula.Pin, _ bool) (nebula.Pin, bool) {
					old.Generation++
					return old, true
				})
				if err == nil {
					err = f.Update(fmt.Sprint("own ", i), setPin(nebula.Pin{Generation: 1}))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if pin, _, _ := f.Load("shared"); pin.Generation != 40 {
		t.Errorf("%d of 40 updates were kept", pin.Generation)
	}
}

func TestDamagedPinFileIsNeverIgnored(t *testing.T) {
	good := `{"address":"a","key_id":"00000000000000000000000000000000","generation":1}` + "\n"
	for name, text := range map[string]string{
		"rubbish":       "x\n",
		"cut":           good[:40],
		"unknown field": strings.Replace(good, "{", `{"x":1,`, 1),
		"bad key":       strings.Replace(good, "00", "0X", 1),
		"no address":    strings.Replace(good, `"a"`, `""`, 1),
		"twice":         good + good,
		"two on a line": strings.TrimSpace(good) + good,
		"garbage after": strings.TrimSpace(good) + "]x\n",
		"brace after":   strings.TrimSpace(good) + "}\n",
		"name twice":    strings.Replace(good, `"generation":1`, `"generation":9,"generation":1`, 1),
		"name in case":  strings.Replace(good, `"generation":1`, `"generation":9,"Generation":1`, 1),
		"none":          strings.Replace(good, `,"generation":1`, "", 1),
		"white space":   strings.Replace(good, ":", ": ", 1),
		"negative":      strings.Replace(good, ":1}", ":-1}", 1),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "known_stores")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f := pinFile(dir)
		_, _, err := f.Load("a")
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(fmt.Sprint(err), path) {
			t.Errorf("%s: loading gave %v", name, err)
		}
		if err := f.Update("b", setPin(nebula.Pin{})); !errors.Is(err, nebula.ErrInvalidConfig) {
			t.Errorf("%s: updating gave %v", name, err)
		}
		if after, _ := os.ReadFile(path); string(after) != text {
			t.Errorf("%s: the file was written over", name)
		}
	}
}

func FuzzPinFile(f *testing.F) {
	seeds := []string{"", "x", `{"address":"a","key_id":"00000000000000000000000000000000","generation":1}` + "\n", "{}\n{}"}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "known_stores"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		pins := pinFile(dir)
		if _, _, err := pins.Load("a"); err != nil {
			if !errors.Is(err, nebula.ErrInvalidConfig) {
				t.Fatal(err)
			}
			return
		}
		// A file that can be read can be written and read again.
		want := nebula.Pin{KeyID: nebula.KeyID{7}, Generation: 9}
		if err := pins.Update("a", setPin(want)); err != nil {
			t.Fatal(err)
		}
		if got, found, err := pins.Load("a"); got != want || !found || err != nil {
			t.Fatalf("%+v, %t, %v", got, found, err)
		}
	})
}
