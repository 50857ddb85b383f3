package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is the user of the image. Other images without a distribution use this number, too.
// Kubernetes' runAsNonRoot wants a number.
const (
	user = 65532
	home = "/home/nonroot"
)

// release is the description of an image. It does not depend on when or where the image is
// made.
type release struct {
	version, commit string
	at              time.Time // of the commit
}

// file is an entry of a layer. A directory's name ends in a slash.
type file struct {
	name    string
	mode    int64
	owner   int
	content []byte
}

func (r release) image(arch, program string) (v1.Image, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	system, err := layer(system())
	if err != nil {
		return nil, err
	}
	// The program is a layer of its own, so that the other layer stays the same from release
	// to release.
	command, err := layer([]file{
		{name: "usr/", mode: 0o755},
		{name: "usr/bin/", mode: 0o755},
		{name: "usr/bin/nebula", mode: 0o755, content: binary},
	})
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	if image, err = mutate.AppendLayers(image, system, command); err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, r.config(arch, image))
}

func (r release) config(arch string, image v1.Image) *v1.ConfigFile {
	layers, _ := image.ConfigFile() // cannot fail: the image is in memory
	config := layers.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Created = v1.Time{Time: r.at}
	config.History = nil
	config.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/nebula"},
		User:       fmt.Sprintf("%d:%d", user, user),
		WorkingDir: home,
		Env:        []string{"PATH=/usr/bin", "HOME=" + home},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "nebula",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.created":  r.at.Format(time.RFC3339),
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return config
}

// system returns the files that a static program needs: certificate authorities, the name
// of its user, their home and a place for temporary files.
func system() []file {
	id := fmt.Sprintf("%d:%d", user, user)
	return []file{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", user)},
		{name: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/:/none\nnonroot:x:" + id + ":nonroot:" + home + ":/none\n")},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: authorities()},
		{name: "home/", mode: 0o755},
		{name: strings.TrimPrefix(home, "/") + "/", mode: 0o700, owner: user},
		{name: "tmp/", mode: 0o1777},
	}
}

// authorities returns the authorities of Mozilla's list that may certify any server. A file
// of certificates cannot express the limits of the others.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return b.Bytes()
}

func layer(files []file) (v1.Layer, error) {
	var b bytes.Buffer
	if err := writeTar(&b, files); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

// writeTar dates all files 1970, so that equal content makes an equal archive.
func writeTar(to io.Writer, files []file) error {
	w := tar.NewWriter(to)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(f.content); err != nil {
			return err
		}
	}
	return w.Close()
}
