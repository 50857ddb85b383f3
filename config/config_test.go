package config

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// load reads a configuration with that text, in a home of its own.
func load(t *testing.T, text string, environ ...string) (*Config, error) {
	t.Helper()
	home := t.TempDir()
	path := filepath.Join(home, "config.toml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "HOME", home)), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(Source{File: path, Environ: append([]string{"HOME=" + home, "USERPROFILE=" + home}, environ...)})
}

func setting(t *testing.T, c *Config, key string) Setting {
	t.Helper()
	for _, s := range c.Settings() {
		if s.Key == key {
			return s
		}
	}
	t.Fatalf("no setting %s", key)
	return Setting{}
}

func TestPrecedence(t *testing.T) {
	const file = "[storage]\nscope = \"file\"\nmax_concurrency = 3\n[storage.local]\nbase_path = \"~/here\"\n"
	c, err := load(t, file, "NEBULA_STORAGE_SCOPE=variable", "NEBULA_STORAGE_TRACK_ACCESS=true")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][2]any{
		"storage.scope":                {"variable", "NEBULA_STORAGE_SCOPE"},
		"storage.track_access":         {true, "NEBULA_STORAGE_TRACK_ACCESS"},
		"storage.max_concurrency":      {3, c.Path},
		"storage.provider":             {"local", "default"},
		"storage.local.base_path":      {filepath.Join(filepath.Dir(c.Path), "here"), c.Path},
		"storage.local.create_dir":     {true, "default"},
		"key.allow_group_read":         {false, "default"},
		"storage.local.file_extension": {"enc.json", "default"},
	} {
		if s := setting(t, c, key); s.Value != want[0] || s.Source != want[1] {
			t.Errorf("%s is %v from %s, want %v", key, s.Value, s.Source, want)
		}
	}
}

func TestProblems(t *testing.T) {
	for name, test := range map[string]struct {
		text    string
		environ []string
		want    []string // each in a line of its own
	}{
		"unknown section":     {text: "[storge]", want: []string{"storge: unknown key; did you mean storage?"}},
		"unknown key":         {text: "[storage]\nprovidr = \"local\"", want: []string{"storage.providr: unknown key; did you mean provider?"}},
		"key elsewhere":       {text: "base_path = \"/x\"", want: []string{"base_path: unknown key; did you mean storage.local.base_path?"}},
		"not yet built":       {text: "[storage.gcp]\nproject = \"x\"", want: []string{"storage.gcp: unknown key"}},
		"unknown provider":    {text: "[storage]\nprovider = \"gcp\"", want: []string{`storage.provider = "gcp": must be one of local, memory, aws, azure, kubernetes, vault`}},
		"value for section":   {text: "storage = 1", want: []string{"storage = 1: must be a section, [storage]"}},
		"list of tables":      {text: "[[storage]]\n", want: []string{"storage = a list: must be a section"}},
		"section for value":   {text: "[storage.provider]\n", want: []string{"storage.provider = a table: must be a string in quotes"}},
		"quoted path":         {text: "\"storage.provider\" = \"memory\"", want: []string{`"storage.provider": unknown key`}},
		"control in a key":    {text: "\"\\u001b[31m\" = 1", want: []string{`"\x1b[31m": unknown key`}},
		"syntax":              {text: "[storage\n", want: []string{"config.toml:1:"}},
		"key twice":           {text: "[storage]\nscope = \"a\"\nscope = \"b\"", want: []string{"config.toml:3:1: key scope is already defined"}},
		"section twice":       {text: "[key]\n[storage]\n[key]", want: []string{"config.toml:3:2: table key already exists"}},
		"bool":                {text: "[storage]\ntrack_access = 1", want: []string{"storage.track_access = 1: must be true or false"}},
		"integer":             {text: "[storage]\nmax_concurrency = \"8\"", want: []string{`storage.max_concurrency = "8": must be a whole number`}},
		"bound":               {text: "[storage]\nmax_concurrency = -1", want: []string{"storage.max_concurrency = -1: must be at least 1"}},
		"relative path":       {text: "[key]\nfile = \"key\"", want: []string{`key.file = …: must be an absolute path, or begin with ~/`}},
		"empty path":          {text: "[key]\nfile = \"\"", want: []string{`key.file = "": must name a file or directory`}},
		"one of key files":    {text: "[key]\nfiles = [\"~/a\", \"b/c\"]", want: []string{`key.files = "b/c": must be an absolute path`}},
		"files of a variable": {environ: []string{"NEBULA_KEY_FILES=/a"}, want: []string{"NEBULA_KEY_FILES: unknown variable; did you mean NEBULA_KEY_FILE?"}},
		"path in NEBULA_KEY":  {environ: []string{"NEBULA_KEY=/a"}, want: []string{"NEBULA_KEY: not a key file", "taken from NEBULA_KEY_FILE"}},
		"key id":              {text: "[key]\nid = \"ABC\"", want: []string{`key.id = …: must be the 32 digits`}},
		"name of a store":     {text: "[stores.\"a b\"]", want: []string{"a store's name has"}},
		"taken name":          {text: "[stores.default]", want: []string{"[stores.default]: the name means [storage] already"}},
		"store's provider":    {text: "[stores.x]\nprovider = \"y\"", want: []string{"stores.x.provider = \"y\": must be one of"}},
		"stores is no value":  {text: "stores = 3", want: []string{"stores = 3: must be a section"}},
		"passphrase of [key]": {text: "[key]\npassphrase_file = \"/x\"", want: []string{"key.passphrase_file: unknown key"}},
		"provider's own rule": {text: "[storage.local]\nfile_extension = \"a/b\"", want: []string{"[storage.local]: file_extension"}},
		"control in a scope":  {text: "[storage]\nscope = \"a\\u001bb\"", want: []string{`storage.scope = "a\x1bb": must be UTF-8 without control characters`}},
		"control in a name":   {text: "[stores.x]\ncreated_by = \"a\\nb\"", want: []string{`stores.x.created_by = "a\nb": must be UTF-8 without control`}},
		"guard in the store": {text: "[storage]\nrollback_guard = \"HOME/s/guard\"\n[storage.local]\nbase_path = \"HOME/s\"",
			want: []string{"must not lie within base_path"}},
		"cache too old":     {text: "[storage]\ncache_max_age = \"61s\"", want: []string{"storage.cache_max_age = 1m1s: must be 0 to 60s"}},
		"cache too long":    {text: "[stores.x]\ncache_last_known = \"721h\"", want: []string{"stores.x.cache_last_known = 721h0m0s: must be 0 to 720h"}},
		"cache too large":   {text: "[storage]\ncache_entries = 0", want: []string{"storage.cache_entries = 0: must be 1 to 100000"}},
		"cache without use": {text: "[storage]\ncache_on_disk = true", want: []string{"storage.cache_on_disk = true: needs cache_last_known"}},
		"cache and access":  {text: "[storage]\ncache_max_age = \"1s\"\ntrack_access = true", want: []string{"storage.track_access = true: makes a write of every read"}},
		"unknown variable": {environ: []string{"NEBULA_STORAGE_PROVIDR=x", "NEBULA_KEY_FIEL=x", "NEBULA_STORES_X=1"},
			want: []string{"NEBULA_STORAGE_PROVIDR: unknown variable; did you mean NEBULA_STORAGE_PROVIDER?",
				"NEBULA_KEY_FIEL: unknown variable; did you mean NEBULA_KEY_FILE?", "NEBULA_STORES_X: unknown variable"}},
		"value of a variable": {environ: []string{"NEBULA_STORAGE_TRACK_ACCESS=x"}, want: []string{`NEBULA_STORAGE_TRACK_ACCESS = "x": must be true or false`}},
		"relative base path":  {environ: []string{"NEBULA_STORAGE_LOCAL_BASE_PATH=rel"}, want: []string{`NEBULA_STORAGE_LOCAL_BASE_PATH = "rel": must be an absolute path`}},
		"empty key file":      {environ: []string{"NEBULA_KEY_FILE="}, want: []string{`NEBULA_KEY_FILE = "": must name a file`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, test.text, test.environ...)
			if !errors.Is(err, nebula.ErrInvalidConfig) {
				t.Fatalf("got %v", err)
			}
			lines := strings.Split(err.Error(), "\n")
			for _, want := range test.want {
				if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
					t.Errorf("no line with %q in:\n%v", want, err)
				}
			}
		})
	}
}

// A wrong path is one problem. The provider's own rules are still checked.
func TestWrongPathIsOneProblem(t *testing.T) {
	_, err := load(t, "", "NEBULA_STORAGE_LOCAL_BASE_PATH=rel")
	if !errors.Is(err, nebula.ErrInvalidConfig) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	_, err = load(t, "[storage.local]\nbase_path = \"x\"\nfile_extension = \"a/b\"")
	if err == nil || !strings.Contains(err.Error(), "2 problems") || !strings.Contains(err.Error(), "file_extension") {
		t.Errorf("got %v", err)
	}
}

// A setting of another provider is not suggested.
func TestNoOtherProvidersKeyIsMeant(t *testing.T) {
	for _, section := range []string{"storage.local", "stores.x.local", "storage.vault.auth"} {
		_, err := load(t, "["+section+"]\nkms_key_id = \"x\"")
		if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), section+".kms_key_id: unknown key") ||
			strings.Contains(err.Error(), "did you mean") {
			t.Errorf("[%s]: %v", section, err)
		}
	}
	_, err := load(t, "", "NEBULA_STORAGE_LOCAL_TIMEOUT=5s")
	if !errors.Is(err, nebula.ErrInvalidConfig) || !strings.Contains(err.Error(), "NEBULA_STORAGE_LOCAL_TIMEOUT: unknown variable") ||
		strings.Contains(err.Error(), "_TIMEOUT?") {
		t.Error(err)
	}
}

func TestSensitiveValueIsNotRepeated(t *testing.T) {
	_, err := load(t, "[stores.x.key]\npassphrase_command = [\"canary\"]")
	if !errors.Is(err, nebula.ErrInvalidConfig) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

func TestNamedStores(t *testing.T) {
	c, err := load(t, "[stores.work]\nprovider = \"memory\"\n[stores.work.key]\nfile = \"~/k\"\npassphrase_command = \"x\"\n[completion]\nids = true")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Names(); !slices.Equal(got, []string{"default", "work"}) || !c.CompleteIDs {
		t.Errorf("%v, %v", got, c.CompleteIDs)
	}
	if c.Provider("work") != "memory" || c.Provider("") != "local" || c.Provider("none") != "" {
		t.Error("the providers are mixed up")
	}
	if s := setting(t, c, "stores.work.key.passphrase_command"); s.Value != Redacted {
		t.Errorf("shown: %v", s.Value)
	}
	if _, err := c.Open(t.Context(), "wrok", OpenOptions{}); !errors.Is(err, nebula.ErrUsage) || !strings.Contains(err.Error(), "did you mean work?") {
		t.Errorf("got %v", err)
	}
}

func TestPlaces(t *testing.T) {
	xdg := t.TempDir()
	for _, test := range []struct {
		environ []string
		want    string
	}{
		{[]string{"XDG_CONFIG_HOME=" + xdg}, filepath.Join(xdg, "nebula", "config.toml")},
		{[]string{"NEBULA_CONFIG=/there.toml", "XDG_CONFIG_HOME=" + xdg}, "/there.toml"},
		{[]string{"XDG_CONFIG_HOME=relative"}, ""},
	} {
		c, err := Load(Source{Environ: test.environ})
		if c.Path != test.want {
			t.Errorf("%v: %q, %v", test.environ, c.Path, err)
		}
	}
	if _, err := Load(Source{File: filepath.Join(xdg, "none"), Environ: nil}); !errors.Is(err, nebula.ErrInvalidConfig) {
		t.Errorf("a named file that is missing: %v", err)
	}
}

func TestAssign(t *testing.T) {
	type kinds struct {
		D time.Duration     `toml:"d"`
		F float64           `toml:"f"`
		L []string          `toml:"l"`
		M map[string]string `toml:"m"`
		U uint8             `toml:"u"`
	}
	for _, test := range []struct {
		field  string
		raw    any
		isText bool
		want   any // nil if it is refused
	}{
		{"D", "1h30m", false, 90 * time.Minute}, {"D", "5s", true, 5 * time.Second}, {"D", int64(5), false, nil}, {"D", "5", true, nil},
		{"F", 1.5, false, 1.5}, {"F", int64(2), false, 2.0}, {"F", "0.25", true, 0.25}, {"F", "x", true, nil}, {"F", "NaN", true, nil},
		{"L", []any{"a", "b"}, false, []string{"a", "b"}}, {"L", "a, b", true, []string{"a", "b"}}, {"L", []any{1}, false, nil}, {"L", "a", false, nil},
		{"M", map[string]any{"k": "v"}, false, map[string]string{"k": "v"}}, {"M", "k=v,x=y", true, map[string]string{"k": "v", "x": "y"}},
		{"M", "k", true, nil}, {"M", map[string]any{"k": 1}, false, nil},
		{"U", int64(255), false, uint8(255)}, {"U", "256", true, nil}, {"U", int64(-1), false, nil}, {"U", 1.5, false, nil},
	} {
		var k kinds
		f := reflect.ValueOf(&k).Elem().FieldByName(test.field)
		allowed := assign(f, test.raw, test.isText)
		if (allowed == "") != (test.want != nil) || test.want != nil && !reflect.DeepEqual(f.Interface(), test.want) {
			t.Errorf("%s from %v: %v, %q", test.field, test.raw, f.Interface(), allowed)
		}
	}
}

func TestSuggest(t *testing.T) {
	for word, want := range map[string]string{"provdier": "provider", "scop": "scope", "zzz": "", "": "", strings.Repeat("x", 1000): ""} {
		got := suggest(word, []string{"provider", "scope", "created_by"})
		if want == "" && got != "" || want != "" && got != "; did you mean "+want+"?" {
			t.Errorf("%.20s: %q", word, got)
		}
	}
}

func TestTrimLine(t *testing.T) {
	for text, want := range map[string]string{"x": "x", "x\n": "x", "x\r\n": "x", "x\n\n": "x\n", "x\r": "x\r", "\n": "", " x ": " x "} {
		if got := string(trimLine([]byte(text))); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestPassphraseIsAskedForWithoutASource(t *testing.T) {
	c, err := load(t, "[storage]\nprovider = \"memory\"")
	if err != nil {
		t.Fatal(err)
	}
	var asked string
	options := OpenOptions{Ask: func(_ context.Context, question string) ([]byte, error) {
		asked = question
		return []byte("typed"), nil
	}}
	s, err := c.Open(t.Context(), "", options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Keys.Passphrase(t.Context())
	if err != nil || !bytes.Equal(text, []byte("typed")) || !strings.HasPrefix(asked, "Passphrase for memory") {
		t.Errorf("%q, %v, %q", text, err, asked)
	}
	options.Ask = func(context.Context, string) ([]byte, error) { return nil, ErrNoTerminal }
	if s, err = c.Open(t.Context(), "", options); err != nil {
		t.Fatal(err)
	}
	var e *nebula.Error
	if _, err = s.Keys.Passphrase(t.Context()); !errors.As(err, &e) || e.Kind != nebula.ErrUnauthenticated || !strings.Contains(e.Hint, "looked for in") {
		t.Errorf("got %v", err)
	}
}

func FuzzFile(f *testing.F) {
	seeds := []string{
		"[storage]\nprovider = \"memory\"\n", "[storage.local]\nbase_path = \"/x\"\n", "[stores.a]\n[stores.a.key]\nfile = \"/k\"\n",
		"storage = 1", "[[stores]]\n", "[stores]\na = 1\n", "\"a.b\" = 1", "a.b.c = {d = [1, {e = 2}]}", "[key]\nid = \"0\"", "\xff", "[storage]\nscope = 1979-05-27",
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &Config{Path: "fuzz.toml", Found: true, env: environment{"HOME": "/home/fuzz"}, stores: make(map[string]*store)}
		l := newLoader(c)
		l.readText([]byte(text))
		l.checkStores([]string{"-"}) // no provider looks at the disk
		c.fields = l.fields
		if err := l.problems.err(); err != nil && nebula.KindOf(err) != nebula.ErrInvalidConfig {
			t.Errorf("%q: %v", text, err)
		}
		c.Settings()
	})
}
