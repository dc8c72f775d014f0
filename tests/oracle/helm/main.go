// The real helm engine, asked one template at a time.
//
// It reads one JSON request a line on standard input and answers each with one JSON line. Texts that may hold bytes
// that are no UTF-8 travel in base64.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
)

type request struct {
	// Templates of a chart named `c`, by their path in it, such as `templates/a`.
	Templates map[string][]byte `json:"templates"`
	// The other files of the chart.
	Files map[string][]byte `json:"files,omitempty"`
	// What `.Values` holds.
	Values map[string]any `json:"values,omitempty"`
	// The time that `now` returns, in seconds since 1970; none leaves it to the clock.
	Now *int64 `json:"now,omitempty"`
}

type response struct {
	// What each template printed, by its path with the name of the chart before it.
	Outputs map[string][]byte `json:"outputs,omitempty"`
	Error   []byte            `json:"error,omitempty"`
}

func render(r request) (map[string]string, error) {
	c := &chart.Chart{Metadata: &chart.Metadata{
		APIVersion: "v2", Name: "c", Version: "1.2.3", AppVersion: "v4.5.6", Type: "application",
	}}
	for name, data := range r.Templates {
		c.Templates = append(c.Templates, &common.File{Name: name, Data: data})
	}
	for name, data := range r.Files {
		c.Files = append(c.Files, &common.File{Name: name, Data: data})
	}
	values := r.Values
	if values == nil {
		values = map[string]any{}
	}
	top := common.Values{
		"Capabilities": common.DefaultCapabilities,
		"Release": map[string]any{
			"Name": "r", "Namespace": "ns", "IsUpgrade": false, "IsInstall": true, "Revision": 1, "Service": "Helm",
		},
		"Values": common.Values(values),
	}
	functions := maps.Clone(checks)
	if r.Now != nil {
		now := time.Unix(*r.Now, 0).UTC()
		functions["now"] = func() time.Time { return now }
	}
	return engine.Engine{CustomTemplateFuncs: functions}.Render(c, top)
}

func answer(r request) (out response) {
	defer func() {
		if p := recover(); p != nil {
			out = response{Error: []byte(fmt.Sprintf("panic: %v", p))}
		}
	}()
	outputs, err := render(r)
	if err != nil {
		return response{Error: []byte(err.Error())}
	}
	out.Outputs = map[string][]byte{}
	for name, text := range outputs {
		out.Outputs[name] = []byte(text)
	}
	return out
}

func main() {
	debug.SetMaxStack(512 << 20)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	time.Local = time.UTC
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var r request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := out.Encode(answer(r)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
