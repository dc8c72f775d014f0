package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/kio"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// readV2 reads the first document as sigs.k8s.io/yaml does.
func readV2(r request) ([]json.RawMessage, error) {
	document, err := yaml.YAMLToJSON([]byte(r.Text))
	if err != nil {
		return nil, err
	}
	return []json.RawMessage{document}, nil
}

// readV3 reads every document as kustomize reads resources, and prints it as kustomize does on the way out.
func readV3(r request) ([]json.RawMessage, error) {
	if err := refuse(r.Text); err != nil {
		return nil, err
	}
	nodes, err := kio.FromBytes([]byte(r.Text))
	if err != nil {
		return nil, err
	}
	documents := []json.RawMessage{}
	for _, node := range nodes {
		document, err := nodeJSON(node)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}

// refuse finds what lockgate refuses and kyaml does not: aliases inside their own anchor, on which kyaml recurses until
// the process dies, and text behind a document that does not begin with `---`, which kyaml ignores.
func refuse(text string) error {
	for _, chunk := range strings.Split(text, "\n---") {
		decoder := kyaml.NewDecoder(strings.NewReader(chunk))
		var document kyaml.Node
		if decoder.Decode(&document) != nil {
			continue
		}
		if isCyclic(&document, map[*kyaml.Node]bool{}) {
			return errors.New("an anchor's value contains itself")
		}
		if decoder.Decode(&document) != io.EOF {
			return errors.New("text behind a document")
		}
	}
	return nil
}

func isCyclic(node *kyaml.Node, open map[*kyaml.Node]bool) bool {
	if open[node] {
		return true
	}
	open[node] = true
	defer delete(open, node)
	if node.Alias != nil && isCyclic(node.Alias, open) {
		return true
	}
	for _, child := range node.Content {
		if isCyclic(child, open) {
			return true
		}
	}
	return false
}

func nodeJSON(node *kyaml.RNode) ([]byte, error) {
	if kind := node.YNode().Kind; kind == kyaml.MappingNode || kind == kyaml.SequenceNode {
		return node.MarshalJSON()
	}
	text, err := node.String()
	if err != nil {
		return nil, err
	}
	var value any
	if err := kyaml.Unmarshal([]byte(text), &value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}
