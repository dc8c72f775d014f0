// The real readers and renderers that lockgate is compared with.
//
// It reads one JSON request a line on standard input and answers each with one JSON line: "documents" holds what the
// operation made, "error" why it refused.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
)

type request struct {
	Op     string            `json:"op"`
	Text   string            `json:"text,omitempty"`
	Files  map[string]string `json:"files,omitempty"`
	Target string            `json:"target,omitempty"`
	UTF16  []string          `json:"utf16,omitempty"`

	Variables map[string]string `json:"variables,omitempty"`
	Strict    bool              `json:"strict,omitempty"`
}

type response struct {
	Documents []json.RawMessage `json:"documents"`
	Error     string            `json:"error,omitempty"`
}

var operations = map[string]func(request) ([]json.RawMessage, error){
	"v2":     readV2,
	"v3":     readV3,
	"build":  build,
	"schema": schema,
	"print":  print,

	"substitute": substitute,
}

func answer(r request) (out response) {
	defer func() {
		if p := recover(); p != nil {
			out = response{Error: fmt.Sprintf("panic: %v", p)}
		}
	}()
	op, ok := operations[r.Op]
	if !ok {
		return response{Error: "no such operation: " + r.Op}
	}
	documents, err := op(r)
	if err != nil {
		return response{Error: err.Error()}
	}
	return response{Documents: documents}
}

func main() {
	debug.SetMaxStack(64 << 20)
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
