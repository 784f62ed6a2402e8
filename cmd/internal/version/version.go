// Package version is the version of the programs.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker: see the Makefile.
var version string

// String returns the version that was built: "v0.2.0-5-g7934f1c".
func String() string {
	info, _ := debug.ReadBuildInfo()
	return choose(version, info)
}

// Line returns what a program prints of its version.
func Line(program string) string {
	return fmt.Sprintf("%s %s (%s, %s/%s)", program, String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// choose takes the linker's word, else what the go command knows of the module, else
// what it knows of the checkout. The module has the version "(devel)" where the go
// command was not asked for one.
func choose(linked string, info *debug.BuildInfo) string {
	if linked != "" {
		return linked
	}
	if info == nil {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	vcs := make(map[string]string)
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	switch revision, dirty := vcs["vcs.revision"], vcs["vcs.modified"] == "true"; {
	case revision == "":
		return "unknown"
	case dirty:
		return revision + "+dirty"
	default:
		return revision
	}
}
