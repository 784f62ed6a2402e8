package version

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	build := func(version string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Version: version}}
		for i := 0; i < len(settings); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return info
	}
	for _, c := range []struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		{"v1.2.3-4-gabc", build("v9"), "v1.2.3-4-gabc"},
		{"v1.2.3", nil, "v1.2.3"},
		{"", build("v1.0.0", "vcs.revision", "abc"), "v1.0.0"},
		{"", build("(devel)", "vcs.revision", "abc", "vcs.modified", "false"), "abc"},
		{"", build("(devel)", "vcs.revision", "abc", "vcs.modified", "true"), "abc+dirty"},
		{"", build("(devel)"), "unknown"},
		{"", build(""), "unknown"},
		{"", nil, "unknown"},
	} {
		if got := choose(c.linked, c.info); got != c.want {
			t.Errorf("linked %q, built %v: %q, want %q", c.linked, c.info, got, c.want)
		}
	}
}

// What the Makefile tells the linker arrives, and both programs tell it.
func TestMakefile(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("needs make")
	}
	out, err := exec.Command("make", "-s", "-n", "-C", "../../..", "build", "VERSION=v9.8.7").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	flags := regexp.MustCompile(`-ldflags '([^']*)'`).FindSubmatch(out)
	if flags == nil {
		t.Fatalf("no -ldflags in\n%s", out)
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-ldflags", string(flags[1]), "-o", dir, "../../ftpalg", "../../ftplab").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, command := range []string{"ftpalg --version", "ftpalg version", "ftplab --version"} {
		program, arg, _ := strings.Cut(command, " ")
		out, err := exec.Command(filepath.Join(dir, program), arg).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), program+" v9.8.7 (go") {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}
