package main

import (
	"encoding/json"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// build renders a directory of files held in memory with the options of the command line. Each document is the text that
// is printed of one resource.
func build(r request) ([]json.RawMessage, error) {
	openapi.ResetOpenAPI()
	files := filesys.MakeFsInMemory()
	for path, content := range r.Files {
		if err := files.WriteFile("/"+path, []byte(content)); err != nil {
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
