package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
)

func TestRecogniseLicences(t *testing.T) {
	const bsd = "Redistributions in binary form must reproduce the above copyright notice"
	for text, want := range map[string]string{
		"Apache License\n  Version 2.0, January 2004": "Apache-2.0",
		bsd: "BSD-2-Clause",
		bsd + "… be used to endorse or\npromote products derived from this":                "BSD-3-Clause",
		"Permission is hereby granted, free of charge, to any person\nobtaining a copy of": "MIT",
		"Permission to use, copy, modify, and distribute this software for\nany purpose":   "ISC",
		"GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007":                               "",
		"Mozilla Public License, version 2.0":                                              "",
	} {
		if got := strings.Join(recognise(text), " "); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
}

func TestModuleWithoutLicenceFails(t *testing.T) {
	m := module{Path: "example.org/m", Dir: t.TempDir()}
	if _, err := m.licences(); err == nil {
		t.Error("a module without a licence may be linked")
	}
	if err := os.WriteFile(filepath.Join(m.Dir, "LICENSE"), []byte("GNU GENERAL PUBLIC LICENSE"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.licences(); err == nil {
		t.Error("a module under another licence may be linked")
	}
}

func TestNoticesNameEveryModule(t *testing.T) {
	t.Chdir("..")
	paths, err := linked()
	if err != nil {
		t.Fatal(err)
	}
	// One of Linux, one of Windows, one of all.
	for _, path := range []string{"github.com/godbus/dbus/v5", "github.com/danieljoos/wincred", "github.com/spf13/cobra"} {
		if !slices.Contains(paths, path) {
			t.Errorf("%s is not among the modules", path)
		}
	}
	var b bytes.Buffer
	if err := writeNotices(&b); err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, "std") {
		if !strings.Contains(b.String(), "\n"+path+" ") {
			t.Errorf("the notices do not name %s", path)
		}
	}
}

func TestSBOM(t *testing.T) {
	t.Chdir("..")
	program := filepath.Join(t.TempDir(), "nebula")
	build := exec.Command("go", "build", "-o", program, "./cmd/nebula")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var b bytes.Buffer
	if err := writeSBOM(&b, "v1.2.3", program); err != nil {
		t.Fatal(err)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(&b, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if c := bom.Metadata.Component; c.Name != "nebula" || c.Version != "v1.2.3" || !strings.Contains(c.PackageURL, "goos="+runtime.GOOS) {
		t.Errorf("the SBOM is for %+v", c)
	}
	licences := make(map[string]string)
	for _, c := range *bom.Components {
		if c.Version == "" || c.Licenses == nil || len(*c.Licenses) == 0 {
			t.Errorf("%s has no version or no licence", c.Name)
			continue
		}
		licences[c.Name] = (*c.Licenses)[0].License.ID
	}
	for name, want := range map[string]string{"std": "BSD-3-Clause", "github.com/spf13/cobra": "Apache-2.0", "golang.org/x/crypto": "BSD-3-Clause"} {
		if licences[name] != want {
			t.Errorf("%s is under %q, not %s", name, licences[name], want)
		}
	}
}

// A module counts as pulled in by another if there is no other way to it.
func TestModulesWithoutOne(t *testing.T) {
	of := func(path, module string, imports ...string) listed {
		return listed{ImportPath: path, Imports: imports, Module: &struct{ Path string }{module}}
	}
	g := newGraph([]listed{
		of("shared/a", "shared"), of("only/b", "only"), of("x/p", "x", "shared/a", "only/b", "fmt"),
		of("y/p", "y", "shared/a"), of("cmd", "product", "x/p", "y/p"),
	})
	if got := strings.Join(g.modules(""), " "); got != "only product shared x y" {
		t.Errorf("all modules are %s", got)
	}
	if got := strings.Join(g.modules("x"), " "); got != "product shared y" {
		t.Errorf("without x the modules are %s", got)
	}
}
