package main

import (
	"encoding/json"

	"github.com/fluxcd/pkg/envsubst"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/yaml"
)

// substitute replaces variables in one object as kustomize-controller does: in the text that kustomize writes, which is
// then read as YAML 1.1.
func substitute(r request) ([]json.RawMessage, error) {
	resource, err := provider.NewDefaultDepProvider().GetResourceFactory().FromBytes([]byte(r.Text))
	if err != nil {
		return nil, err
	}
	text, err := resource.AsYAML()
	if err != nil {
		return nil, err
	}
	replaced, err := envsubst.Eval(string(text), func(name string) (string, bool) {
		value, found := r.Variables[name]
		return value, found || !r.Strict
	})
	if err != nil {
		return nil, err
	}
	document, err := yaml.YAMLToJSON([]byte(replaced))
	if err != nil {
		return nil, err
	}
	return []json.RawMessage{document}, nil
}
