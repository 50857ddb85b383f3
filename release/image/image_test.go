package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// build writes the image of two programs and returns the archive's path.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var programs []string
	for _, arch := range []string{"amd64", "arm64"} {
		path := filepath.Join(dir, arch)
		if err := os.WriteFile(path, []byte("program for "+arch), 0o700); err != nil {
			t.Fatal(err)
		}
		programs = append(programs, arch+"="+path)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	archive := filepath.Join(dir, "image.tar")
	if err := write("1.2.3", "c0ffee", archive, programs); err != nil {
		t.Fatal(err)
	}
	return archive
}

// unpack returns the index of the image in an archive.
func unpack(t *testing.T, archive string) v1.ImageIndex {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	for name, e := range entries(t, f) {
		if e.Typeflag == tar.TypeDir {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, e.content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3" {
		t.Fatalf("the archive has %+v", manifest.Manifests)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

type entry struct {
	*tar.Header
	content []byte
}

func entries(t *testing.T, from io.Reader) map[string]entry {
	t.Helper()
	found := make(map[string]entry)
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name] = entry{h, content}
	}
}

func TestImage(t *testing.T) {
	index := unpack(t, build(t))
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var architectures []string
	for _, m := range manifest.Manifests {
		architectures = append(architectures, m.Platform.OS+"/"+m.Platform.Architecture)
		image, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkConfig(t, image, m.Platform.Architecture)
		checkFiles(t, image, m.Platform.Architecture)
	}
	if len(architectures) != 2 || architectures[0] != "linux/amd64" || architectures[1] != "linux/arm64" {
		t.Errorf("the image is for %v", architectures)
	}
}

func checkConfig(t *testing.T, image v1.Image, arch string) {
	t.Helper()
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.Architecture != arch || c.OS != "linux" || c.Created.Unix() != 1700000000 {
		t.Errorf("the image is for %s/%s, made %v", c.OS, c.Architecture, c.Created)
	}
	if c.Config.User != "65532:65532" || len(c.Config.Entrypoint) != 1 || c.Config.Entrypoint[0] != "/usr/bin/nebula" {
		t.Errorf("the image runs %v as %q", c.Config.Entrypoint, c.Config.User)
	}
	if l := c.Config.Labels; l["org.opencontainers.image.version"] != "1.2.3" || l["org.opencontainers.image.revision"] != "c0ffee" {
		t.Errorf("the labels are %v", l)
	}
}

func checkFiles(t *testing.T, image v1.Image, arch string) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]entry)
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for name, e := range entries(t, r) {
			files[name] = e
		}
		r.Close()
	}
	for name, e := range files {
		if owner := map[bool]int{true: user}[name == "home/nonroot/"]; e.Uid != owner || e.Gid != owner {
			t.Errorf("%s belongs to %d:%d", name, e.Uid, e.Gid)
		}
		if e.Mode&0o022 != 0 && name != "tmp/" {
			t.Errorf("%s has mode %o", name, e.Mode)
		}
	}
	if p := files["usr/bin/nebula"]; p.Header == nil || string(p.content) != "program for "+arch || p.Mode != 0o755 {
		t.Errorf("the program is %q", p.content)
	}
	pool := files["etc/ssl/certs/ca-certificates.crt"].content
	authorities := 0
	for block, rest := pem.Decode(pool); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		authorities++
	}
	if authorities < 100 {
		t.Errorf("there are %d authorities", authorities)
	}
}

func TestImageIsReproducible(t *testing.T) {
	first, err := os.ReadFile(build(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(build(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("two images of the same programs differ")
	}
}

func TestImageNeedsATimeAndPrograms(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "image.tar")
	t.Setenv("SOURCE_DATE_EPOCH", "")
	if err := write("1", "c", archive, []string{"amd64=/dev/null"}); err == nil {
		t.Error("an image without a time was written")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	for _, program := range []string{"amd64", "amd64=" + archive + ".missing"} {
		if err := write("1", "c", archive, []string{program}); err == nil {
			t.Errorf("an image of %q was written", program)
		}
	}
}
