package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// print writes a value, given as JSON, with the library and the layout that the target names.
func print(r request) ([]json.RawMessage, error) {
	decoder := json.NewDecoder(strings.NewReader(r.Text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	value = typed(value)
	var text bytes.Buffer
	switch r.Target {
	case "v2":
		out, err := yamlv2.Marshal(value)
		if err != nil {
			return nil, err
		}
		text.Write(out)
	case "v3", "v3-compact", "v3-4", "v3-4-compact":
		encoder := yamlv3.NewEncoder(&text)
		encoder.SetIndent(2)
		if strings.Contains(r.Target, "-4") {
			encoder.SetIndent(4)
		}
		if strings.HasSuffix(r.Target, "-compact") {
			encoder.CompactSeqIndent()
		}
		if err := encoder.Encode(value); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("no such layout: %s", r.Target)
	}
	document, err := json.Marshal(text.String())
	return []json.RawMessage{document}, err
}

// typed gives numbers the narrowest of the types that go-yaml reads them as.
func typed(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, entry := range value {
			value[key] = typed(entry)
		}
	case []any:
		for index, item := range value {
			value[index] = typed(item)
		}
	case json.Number:
		if !strings.ContainsAny(value.String(), ".eE") {
			var whole int64
			if err := json.Unmarshal([]byte(value), &whole); err == nil {
				return whole
			}
			var natural uint64
			if err := json.Unmarshal([]byte(value), &natural); err == nil {
				return natural
			}
		}
		float, _ := value.Float64()
		return float
	}
	return value
}
