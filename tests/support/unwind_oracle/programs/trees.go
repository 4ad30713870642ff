// Builds trees, prints and parses them as JSON, sorts and matches strings, for ever, on two
// goroutines: recursion, reflection, assembly of the runtime, garbage collection.
package main

import (
	"encoding/json"
	"regexp"
	"sort"
	"strings"
)

type Tree struct {
	Left, Right *Tree
	Value       int
}

func build(depth int) *Tree {
	if depth == 0 {
		return &Tree{}
	}
	return &Tree{build(depth - 1), build(depth - 1), depth}
}

func (t *Tree) sum() int {
	if t == nil {
		return 0
	}
	return t.Value + t.Left.sum() + t.Right.sum()
}

func roundTrips() {
	for {
		text, _ := json.Marshal(build(7))
		var any interface{}
		if json.Unmarshal(text, &any) != nil {
			panic("JSON that is none")
		}
	}
}

func main() {
	pattern := regexp.MustCompile(`a+b?c*`)
	go roundTrips()
	for {
		words := strings.Split(strings.Repeat("q,aab,ccc,", build(10).sum()%100+50), ",")
		sort.Strings(words)
		pattern.FindAllString(strings.Join(words, ""), -1)
	}
}
