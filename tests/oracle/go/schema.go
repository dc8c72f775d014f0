package main

import (
	"encoding/json"
	"sort"
	"strconv"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// The extensions that decide how a list is merged, and the one that names the kinds of a definition.
const (
	strategyKey = "x-kubernetes-patch-strategy"
	mergeKey    = "x-kubernetes-patch-merge-key"
	mapKeysKey  = "x-kubernetes-list-map-keys"
	kindKey     = "x-kubernetes-group-version-kind"
)

// schema prints what kustomize's built-in OpenAPI document says about merging lists, as an OpenAPI document that holds
// nothing else, which of its kinds are namespaced, and the names of the definitions in the order of their numbers.
func schema(request) ([]json.RawMessage, error) {
	openapi.ResetOpenAPI()
	definitions := openapi.Schema().Definitions
	useful := map[string]bool{}
	for changed := true; changed; {
		changed = false
		for name, definition := range definitions {
			if !useful[name] && len(trimmedProperties(definition, useful, nil)) > 0 {
				useful[name], changed = true, true
			}
		}
	}
	names := []string{}
	for name := range useful {
		names = append(names, name)
	}
	sort.Strings(names)
	short := map[string]string{}
	for number, name := range names {
		short[name] = strconv.Itoa(number)
	}
	kept := map[string]any{}
	scopes := map[string]map[string]bool{}
	for name, definition := range definitions {
		if useful[name] {
			entry := map[string]any{"properties": trimmedProperties(definition, useful, short)}
			if kinds, found := definition.Extensions[kindKey]; found {
				entry[kindKey] = kinds
			}
			kept[short[name]] = entry
		}
		kinds, _ := definition.Extensions[kindKey].([]any)
		for _, kind := range kinds {
			noteScope(scopes, kind.(map[string]any))
		}
	}
	document, err := json.Marshal(map[string]any{"definitions": kept, "namespaced": scopes, "names": names})
	return []json.RawMessage{document}, err
}

func noteScope(scopes map[string]map[string]bool, gvk map[string]any) {
	version, kind := gvk["version"].(string), gvk["kind"].(string)
	if group, _ := gvk["group"].(string); group != "" {
		version = group + "/" + version
	}
	if namespaced, found := openapi.IsNamespaceScoped(kyaml.TypeMeta{APIVersion: version, Kind: kind}); found {
		if scopes[version] == nil {
			scopes[version] = map[string]bool{}
		}
		scopes[version][kind] = namespaced
	}
}

// trimmedProperties keeps the fields that are merged lists or lead to one.
func trimmedProperties(definition spec.Schema, useful map[string]bool, short map[string]string) map[string]any {
	kept := map[string]any{}
	for field, property := range definition.Properties {
		if trimmed := trim(property, useful, short); len(trimmed) > 0 {
			kept[field] = trimmed
		}
	}
	return kept
}

func trim(property spec.Schema, useful map[string]bool, short map[string]string) map[string]any {
	kept := map[string]any{}
	if name := strings.TrimPrefix(property.Ref.String(), "#/definitions/"); name != "" {
		if useful[name] {
			kept["$ref"] = "#/definitions/" + short[name]
		}
		return kept
	}
	if strategy, found := property.Extensions[strategyKey]; found && strings.Contains(strategy.(string), "merge") {
		kept[strategyKey] = strategy
		for _, key := range []string{mapKeysKey, mergeKey} {
			if value, found := property.Extensions[key]; found {
				kept[key] = value
				break
			}
		}
	}
	if property.Items != nil && property.Items.Schema != nil {
		if items := trim(*property.Items.Schema, useful, short); len(items) > 0 {
			kept["items"] = items
		}
	}
	if more := property.AdditionalProperties; more != nil && more.Schema != nil {
		if values := trim(*more.Schema, useful, short); len(values) > 0 {
			kept["additionalProperties"] = values
		}
	}
	if len(kept) > 0 && len(property.Type) == 1 && property.Type[0] == "array" {
		kept["type"] = "array"
	}
	return kept
}
