package main

import (
	"debug/buildinfo"
	"io"

	"github.com/CycloneDX/cyclonedx-go"
)

// writeSBOM writes the modules that the linker noted in a program.
func writeSBOM(to io.Writer, version, program string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	var paths []string
	for _, dep := range info.Deps {
		paths = append(paths, dep.Path)
	}
	all, err := find(paths)
	if err != nil {
		return err
	}
	std, err := standardLibrary(info.GoVersion)
	if err != nil {
		return err
	}
	system, arch := setting(info, "GOOS"), setting(info, "GOARCH")
	main := cyclonedx.Component{
		Type: cyclonedx.ComponentTypeApplication, BOMRef: product, Name: "nebula", Version: version,
		PackageURL: "pkg:golang/" + product + "@" + version + "?goarch=" + arch + "&goos=" + system + "#cmd/nebula",
		Licenses:   &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
	}
	var components []cyclonedx.Component
	var refs []string
	for _, m := range append(all, std) {
		c, err := m.component()
		if err != nil {
			return err
		}
		components, refs = append(components, c), append(refs, c.BOMRef)
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return cyclonedx.NewBOMEncoder(to, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6)
}

func (m module) component() (cyclonedx.Component, error) {
	url := "pkg:golang/" + m.Path + "@" + m.Version
	c := cyclonedx.Component{Type: cyclonedx.ComponentTypeLibrary, BOMRef: url, PackageURL: url, Name: m.Path, Version: m.Version}
	ids, err := m.licenceIDs()
	if err != nil {
		return c, err
	}
	var licences cyclonedx.Licenses
	for _, id := range ids {
		licences = append(licences, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: id}})
	}
	c.Licenses = &licences
	if m.Sum != "" {
		c.Properties = &[]cyclonedx.Property{{Name: "go.sum", Value: m.Sum}}
	}
	return c, nil
}

func setting(info *buildinfo.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
