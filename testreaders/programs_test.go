package testreaders

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/installed"
)

// program is a reader that runs as a program of its own. It gets the names of files and
// prints the variables of each.
type program struct {
	args []string
	env  []string
	bash bool // it prints environments, not JSON
}

// programReaders finds the programs, or installs them in the user's cache. For each that
// is missing it returns the reason.
func programReaders() (found map[string]program, missing map[string]error) {
	found, missing = make(map[string]program), make(map[string]error)
	for name, prepare := range map[string]func() (program, error){
		"bash": prepareBash, "node": prepareNode, "npm": prepareNpm, "python": preparePython, "rust": prepareRust, "systemd": prepareSystemd,
	} {
		p, err := prepare()
		if err != nil {
			missing[name] = err
			continue
		}
		found[name] = p
	}
	return found, missing
}

func prepareBash() (program, error) {
	bash, err := exec.LookPath("bash")
	return program{args: []string{bash, "--norc", "--noprofile", absolute("bash.sh")}, bash: true}, err
}

// prepareNode wants the major version that Nebula models. Others parse in another way.
func prepareNode() (program, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return program{}, err
	}
	version, err := exec.Command(node, "--version").Output()
	if err == nil && !bytes.HasPrefix(version, []byte("v20.")) {
		err = fmt.Errorf("node is %s, and the model is of 20.20", bytes.TrimSpace(version))
	}
	return program{args: []string{node, absolute("node.js"), "node"}}, err
}

func prepareNpm() (program, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return program{}, err
	}
	dir, err := cached("npm", []string{"package.json", "package-lock.json"}, func(dir string) error {
		return installed.Run(dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
	return program{args: []string{node, absolute("node.js"), "npm"}, env: []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}}, err
}

func preparePython() (program, error) {
	dir, err := cached("python", []string{"requirements.txt"}, func(dir string) error {
		return installed.Run(dir, "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
			"--require-hashes", "--only-binary=:all:", "--target", "packages", "-r", "requirements.txt")
	})
	return program{args: []string{"python3", absolute("python.py")}, env: []string{"PYTHONPATH=" + filepath.Join(dir, "packages")}}, err
}

func prepareRust() (program, error) {
	dir, err := cached("rust", []string{"rust/Cargo.toml", "rust/src/main.rs"}, func(dir string) error {
		return installed.Run(filepath.Join(dir, "rust"), "cargo", "build", "--quiet", "--release")
	})
	return program{args: []string{filepath.Join(dir, "rust", "target", "release", "read")}}, err
}

func prepareSystemd() (program, error) {
	libraries, _ := filepath.Glob("/usr/lib/*/systemd/libsystemd-shared-*.so")
	if len(libraries) == 0 {
		libraries, _ = filepath.Glob("/usr/lib/systemd/libsystemd-shared-*.so")
	}
	if len(libraries) == 0 {
		return program{}, errors.New("no libsystemd-shared (Debian: apt-get install systemd)")
	}
	_, err := exec.LookPath("python3")
	return program{args: []string{"python3", absolute("systemd.py"), libraries[0]}}, err
}

func absolute(name string) string {
	path, err := filepath.Abs(filepath.Join("programs", name))
	if err != nil {
		panic(err)
	}
	return path
}

// cached returns a folder that holds copies of the files. build has run there once.
func cached(name string, files []string, build func(dir string) error) (string, error) {
	return installed.Dir("nebula-testreaders", name, "programs", files, build)
}

// read lets the program read files. For a file that it refuses, the map is nil.
func (p program) read(t *testing.T, dir string, files []string) []map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.args[0], p.args[1:]...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH")}, p.env...)
	if p.bash {
		cmd.Env = []string{"PATH=/nonexistent"} // so that no file can run a program
	}
	cmd.Stdin = strings.NewReader(strings.Join(files, "\n") + "\n")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", p.args, err, complaints.Bytes())
	}
	var all []map[string]string
	if p.bash {
		all = environments(string(out))
	} else {
		all = fromJSON(t, out)
	}
	if len(all) != len(files) {
		t.Fatalf("%v read %d of %d files\n%s", p.args, len(all), len(files), complaints.Bytes())
	}
	return all
}

func fromJSON(t *testing.T, out []byte) []map[string]string {
	t.Helper()
	var all []map[string]string
	for line := range bytes.Lines(out) {
		var read map[string]string
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatal(err)
		}
		for name, value := range read {
			decoded, err := hex.DecodeString(value)
			if err != nil {
				t.Fatal(err)
			}
			read[name] = string(decoded)
		}
		all = append(all, read)
	}
	return all
}

func environments(out string) []map[string]string {
	var all []map[string]string
	read := make(map[string]string)
	for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case name != "":
			read[name] = value
		case value == "refused":
			read = nil
		default:
			for _, own := range []string{"PATH", "PWD", "OLDPWD", "SHLVL", "_"} {
				delete(read, own)
			}
			all = append(all, read)
			read = make(map[string]string)
		}
	}
	return all
}
