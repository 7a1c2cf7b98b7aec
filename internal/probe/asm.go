package probe

import (
	"strings"

	"github.com/cilium/ebpf/asm"
)

// nothing is a program that returns 0.
func nothing() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
}

func splitLines(b []byte) []string { return strings.Split(string(b), "\n") }
