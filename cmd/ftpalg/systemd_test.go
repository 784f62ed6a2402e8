package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A reload is told with its time, and is over when the new configuration is in force, or
// refused; then the old one stays.
func TestReloadIsTold(t *testing.T) {
	namespace(t)
	next := manager(t)
	p := start(t, guarded+"log.level = 'info'\n")
	file := p.Args[len(p.Args)-1]
	const idle = "STATUS=0 sessions, 0 open pinholes"
	want := func(pattern string) {
		t.Helper()
		if got := next(); !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Fatalf("systemd was told %q, want %q", got, pattern)
		}
	}
	reload := func(config, status string) {
		t.Helper()
		var before, after unix.Timespec
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &before)
		if err := p.Process.Signal(unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		told := next()
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &after)
		found := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=(\d+)\n$`).FindStringSubmatch(told)
		if found == nil {
			t.Fatalf("systemd was told %q", told)
		}
		if at, err := strconv.ParseInt(found[1], 10, 64); err != nil || at < before.Nano()/1000 || at > after.Nano()/1000 {
			t.Errorf("%d us is not between %d and %d", at, before.Nano()/1000, after.Nano()/1000)
		}
		want("READY=1\n" + status)
	}
	want("READY=1\n" + idle)

	reload(guarded+"pinhole.min_port = 99999\n", idle+"; the last configuration was refused, see the log")
	refused := p.await("level", "ERROR")
	if refused["file"] != file || refused["line"] != 5.0 || refused["key"] != "pinhole.min_port" {
		t.Errorf("the log has %v", refused)
	}

	reload(strings.Replace(guarded, "workers = 2", "workers = 1", 1)+"pinhole.source_port = '1-1023'\nlog.level = 'debug'\n", idle)
	waits := p.await("key", "control.workers")
	if waits["level"] != "WARN" {
		t.Errorf("the log has %v", waits)
	}
	p.await("msg", "the configuration was read again, and is in force")
	if now := ruleset(t); !strings.Contains(now, "set active1to1023_4") {
		t.Errorf("the table does not know the new source ports:\n%s", now)
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := p.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	want(`RELOADING=1\nMONOTONIC_USEC=\d+\n`)
	want("READY=1\n" + idle + "; the last configuration was refused, see the log")
	p.stop(unix.SIGTERM)
}

// The watchdog is fed while every worker goes round, and not when one of them does not.
func TestWatchdog(t *testing.T) {
	namespace(t)
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "600000")
	p := start(t, guarded)
	fed := func(want int) {
		t.Helper()
		began := time.Now()
		for n := 0; n < want; {
			if next() == "WATCHDOG=1" {
				n++
			}
			if time.Since(began) > 10*time.Second {
				t.Fatalf("it was fed %d times in 10 s", n)
			}
		}
	}
	fed(3)
	held := waiting(t, p.Process.Pid)
	for _, thread := range held {
		if err := unix.PtraceSeize(thread); err != nil {
			t.Fatalf("holding a worker's thread: %v", err)
		}
		if err := unix.PtraceInterrupt(thread); err != nil {
			t.Fatal(err)
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(thread, &status, unix.WALL, nil); err != nil || !status.Stopped() {
			t.Fatalf("holding a worker's thread: %v, %v", status, err)
		}
	}
	p.await("msg", "a worker does not go round")
	// What was sent before is there still; then nothing comes.
	var quiet chan string
	for began, silent := time.Now(), false; !silent; {
		quiet = make(chan string, 1)
		go func(told chan<- string) { told <- next() }(quiet)
		select {
		case told := <-quiet:
			if told != "WATCHDOG=1" || time.Since(began) > 3*time.Second {
				t.Fatalf("systemd was told %q while a worker is stuck", told)
			}
		case <-time.After(time.Second):
			silent = true
		}
	}
	for _, thread := range held {
		if err := unix.PtraceDetach(thread); err != nil {
			t.Fatal(err)
		}
	}
	if told := <-quiet; told != "WATCHDOG=1" {
		t.Errorf("systemd was told %q", told)
	}
	fed(2)
	p.stop(unix.SIGTERM)
}

// waiting returns the threads that wait for packets and for the like: those of the workers
// among them.
func waiting(t *testing.T, pid int) (threads []int) {
	t.Helper()
	calls, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		text, err := os.ReadFile(call)
		if err != nil {
			continue
		}
		number, _, _ := strings.Cut(string(text), " ")
		if n, err := strconv.Atoi(number); err == nil && (n == unix.SYS_POLL || n == unix.SYS_PPOLL || n == unix.SYS_RECVMMSG) {
			thread, _ := strconv.Atoi(filepath.Base(filepath.Dir(call)))
			threads = append(threads, thread)
		}
	}
	if len(threads) < 2 {
		t.Fatalf("%d threads wait for packets, and there are two workers", len(threads))
	}
	return threads
}
