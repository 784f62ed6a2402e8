package nft

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// tables returns `nft list tables`.
func tables(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(nft(t, "list", "tables"))
}

const (
	ours   = "table inet ftpalg"
	guards = "table inet ftpalg_translated"
)

// needs skips the test on a kernel that lacks something.
func needs(t *testing.T, has bool, what string) {
	t.Helper()
	if !has {
		t.Skip("this kernel lacks " + what)
	}
}

// An owned table is out of the reach of other processes.
func TestOwnedTable(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	needs(t, caps.Owner, "owned tables")
	load(t, operator)
	table := install(t, defaults(), caps)
	commit(t, table, opened(active4))

	nft(t, "flush", "ruleset")
	if got := tables(t); got != ours {
		t.Errorf("after `nft flush ruleset` there is %q, want %q", got, ours)
	}
	wantUnused(t, table, active4, true)
	if out, err := exec.Command("nft", "flush", "set", "inet", "ftpalg", "active4").CombinedOutput(); err == nil {
		t.Errorf("another process changed the table: %s", out)
	}
}

// Without its process an owned table is gone, whatever ended the process. The guard stays.
func TestOwnerDies(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	needs(t, caps.Owner, "owned tables")
	table := install(t, defaults(), caps)
	if err := table.conn.CloseLasting(); err != nil { // as the kernel does at the end of a process
		t.Fatal(err)
	}
	if got := tables(t); got != guards {
		t.Errorf("there is %q, want %q", got, guards)
	}
}

func TestClose(t *testing.T) {
	for _, owner := range []bool{true, false} {
		t.Run(fmt.Sprintf("owner=%v", owner), func(t *testing.T) {
			inNamespace(t)
			caps := probe(t)
			caps.Owner = caps.Owner && owner
			load(t, operator)
			before := nft(t, "list", "ruleset")
			table := install(t, defaults(), caps)
			if err := table.Close(); err != nil {
				t.Error(err)
			}
			if after := nft(t, "list", "ruleset"); after != before {
				t.Errorf("left behind:\n%s", after)
			}
		})
	}
}

// There is one ftpalg in a namespace.
func TestInstallTwice(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	needs(t, caps.Owner, "owned tables")
	table := install(t, defaults(), caps)
	commit(t, table, opened(active4))
	if _, err := Install(defaults(), caps); !errors.Is(err, ErrInUse) {
		t.Errorf("a second Install: %v, want ErrInUse", err)
	}
	wantUnused(t, table, active4, true)
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	install(t, defaults(), caps)
}

// forms are the ways to make a table that outlives its process.
func forms(t *testing.T, test func(t *testing.T, caps Caps)) {
	for _, persist := range []bool{true, false} {
		t.Run(fmt.Sprintf("persist=%v", persist), func(t *testing.T) {
			inNamespace(t)
			caps := probe(t)
			if persist {
				needs(t, caps.Persist, "persistent tables")
			}
			caps.Persist = persist
			test(t, caps)
		})
	}
}

// Where control packets must not pass unread, the rules that divert them stay, and the
// pinholes do not. The next start makes all of it anew.
func TestDropOnAbsence(t *testing.T) {
	forms(t, func(t *testing.T, caps Caps) {
		cfg := defaults()
		cfg.Bypass = false
		table := install(t, cfg, caps)
		ops := []alg.Op{opened(active4), opened(active6), opened(passive4), opened(passive6)}
		want := normal(cfg, listing(t, cfg))
		commit(t, table, ops...)
		if err := table.CloseGuarded(); err != nil {
			t.Fatal(err)
		}
		if got := normal(cfg, listing(t, cfg)); got != want {
			t.Errorf("after Close:\n%s\nbefore there was a pinhole:\n%s", got, want)
		}

		cfg.Ports = []uint16{2121}
		table = install(t, cfg, caps)
		commit(t, table, ops...)
		if got := elements(t, setPorts); got != "2121" {
			t.Errorf("set ports has %q after the next start, want that of its configuration", got)
		}
		if err := table.conn.CloseLasting(); err != nil { // the process is killed
			t.Fatal(err)
		}
		if got := tables(t); got != ours+"\n"+guards {
			t.Errorf("after the process was killed there is %q", got)
		}
		cfg.Bypass = true
		table = install(t, cfg, caps)
		wantUnused(t, table, active4, false)
		if err := table.Close(); err != nil {
			t.Error(err)
		}
		if got := tables(t); got != "" {
			t.Errorf("there is still %q", got)
		}
	})
}

// The guard stays if it is to, and otherwise not; the next start takes it over.
func TestCloseGuarded(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		for _, guarded := range []bool{true, false, true} {
			table := install(t, defaults(), caps)
			shut, want := table.Close, ""
			if guarded {
				shut, want = table.CloseGuarded, guards
			}
			if err := shut(); err != nil {
				t.Fatal(err)
			}
			if got := tables(t); got != want {
				t.Errorf("guarded=%v: there is %q, want %q", guarded, got, want)
			}
		}
		// Someone else was faster.
		table := install(t, defaults(), caps)
		nft(t, "delete", "table", "inet", guardName)
		if err := table.Close(); err != nil || tables(t) != "" {
			t.Errorf("without a guard: %v, and there is %q", err, tables(t))
		}
	})
}

// There is a guard while somebody wants one, and from an earlier process on.
func TestGuardOnDemand(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	needs(t, caps.NAT, "NAT in family inet")
	table, err := Install(defaults(), caps)
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, want bool) {
		t.Helper()
		if got := strings.Contains(nft(t, "list", "tables"), guardName); got != want {
			t.Errorf("%s: a guard: %v, want %v", when, got, want)
		}
	}
	check("at first", false)
	for _, on := range []bool{true, true, false, false, true} {
		if err := table.Guard(on); err != nil {
			t.Fatal(err)
		}
		check("on demand", on)
	}
	if err := table.CloseGuarded(); err != nil {
		t.Fatal(err)
	}
	check("after the end", true)
	if table, err = Install(defaults(), caps); err != nil {
		t.Fatal(err)
	}
	check("in the next process", true)
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	check("in the end", false)
}

// A kernel that cannot translate, and a single host, have no use for a guard.
func TestNoGuard(t *testing.T) {
	for name, change := range map[string]func(*Config, *Caps){
		"no NAT":      func(_ *Config, c *Caps) { c.NAT = false },
		"single host": func(c *Config, _ *Caps) { c.Hooks = []string{"input", "output"} },
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			cfg, caps := defaults(), probe(t)
			change(&cfg, &caps)
			table := install(t, cfg, caps)
			if got := tables(t); got != ours {
				t.Errorf("there is %q", got)
			}
			commit(t, table, opened(active4), alg.Op{Kind: alg.OpRelease, Flow: control4})
			if err := table.Commit([]alg.Op{opened(masked4)}); !errors.Is(err, unix.EINVAL) {
				t.Errorf("opening a translated pinhole: %v, want EINVAL", err)
			}
			if restored, err := table.Restore(); restored || err != nil {
				t.Errorf("Restore = %v, %v", restored, err)
			}
		})
	}
}

// A table that is not owned can be taken away, and is put back.
func TestRestore(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	caps.Owner = false
	cfg := defaults()
	table := install(t, cfg, caps)
	want := listing(t, cfg)
	if restored, err := table.Restore(); restored || err != nil {
		t.Errorf("nothing to restore: %v, %v", restored, err)
	}
	commit(t, table, opened(active4))
	nft(t, "flush", "ruleset")
	if err := table.Commit([]alg.Op{opened(active4)}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("Commit without a table: %v, want ENOENT", err)
	}
	if restored, err := table.Restore(); !restored || err != nil {
		t.Errorf("Restore = %v, %v", restored, err)
	}
	if got := listing(t, cfg); got != want {
		t.Errorf("restored is\n%s, not\n%s", got, want)
	}
	commit(t, table, opened(active4))
}

// Questions to the kernel change nothing, not even the generation.
func TestProbe(t *testing.T) {
	inNamespace(t)
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseLasting()
	load(t, operator)
	before, err := conn.GetGen()
	if err != nil {
		t.Fatal(err)
	}
	text := nft(t, "list", "ruleset")
	caps := probe(t)
	t.Logf("%+v", caps)
	after, err := conn.GetGen()
	if err != nil {
		t.Fatal(err)
	}
	if before.ID != after.ID || nft(t, "list", "ruleset") != text {
		t.Errorf("the ruleset is of generation %d, and was of %d", after.ID, before.ID)
	}
	if each := probeEach(conn, Config{Queue: 1, Workers: 1}); each != caps {
		t.Errorf("asked one by one it is %+v", each)
	}
	install(t, defaults(), caps)
	if again := probe(t); again != caps {
		t.Errorf("with a table in place it is %+v", again)
	}
}

// Someone without privileges is told so.
func TestWithoutCapability(t *testing.T) {
	inNamespace(t)
	var data [2]unix.CapUserData // none
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := Probe(); !errors.Is(err, ErrPermission) {
		t.Errorf("Probe without CAP_NET_ADMIN: %v, want ErrPermission", err)
	}
	if _, err := Install(defaults(), Caps{}); !errors.Is(err, ErrPermission) {
		t.Errorf("Install without CAP_NET_ADMIN: %v, want ErrPermission", err)
	}
}

// Labels are bits of machine words.
func TestLabels(t *testing.T) {
	inNamespace(t)
	for _, label := range []uint8{0, 1, 31, 32, 63, 64, 126} {
		cfg := defaults()
		cfg.Tag.Label = label
		table := install(t, cfg, probe(t))
		want := fmt.Sprintf("ct label set %d meta mark set meta mark | 0x01000000\n", label)
		if got := listing(t, cfg); !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
		table.Close()
	}
}
