package node

import "github.com/kubetape/kubetape/internal/probe"

// Report is what this kernel allows.
type Report = probe.Report

// Check looks at the kernel without leaving anything behind. flavour, where not
// empty, is the one to use.
func Check(flavour string) Report { return probe.Check(probe.Flavour(flavour)) }
