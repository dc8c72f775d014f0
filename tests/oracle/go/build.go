package main

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// build renders a directory of files held in memory with the options of the command line. Each document is the text that
// is printed of one resource.
func build(r request) ([]json.RawMessage, error) {
	resetSchema(r.Files)
	files := filesys.MakeFsInMemory()
	for path, content := range r.Files {
		bytes := []byte(content)
		if slices.Contains(r.UTF16, path) {
			bytes = inUTF16(content)
		}
		if err := files.WriteFile("/"+path, bytes); err != nil {
			return nil, err
		}
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	result, err := krusty.MakeKustomizer(options).Run(files, "/"+r.Target)
	if err != nil {
		return nil, err
	}
	documents := []json.RawMessage{}
	for _, resource := range result.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		document, err := json.Marshal(string(text))
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}

// ownSchema says whether a folder that names a schema of its own was built since kustomize's was read.
var ownSchema = true

// resetSchema makes kustomize read its schema anew where a folder may tell whether and when it was read before. That takes
// longer than most builds do.
func resetSchema(files map[string]string) {
	named := false
	for _, content := range files {
		named = named || strings.Contains(content, "openapi")
	}
	if named || ownSchema {
		openapi.ResetOpenAPI()
	}
	ownSchema = named
}

// inUTF16 encodes a text as PowerShell does.
func inUTF16(text string) []byte {
	bytes := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		bytes = binary.LittleEndian.AppendUint16(bytes, unit)
	}
	return bytes
}
