package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Listen makes the socket, readable and writable for its owner and group alone. One
// that a dead daemon left behind is replaced; one that answers is an error.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the control socket: %w", err)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("the control socket %s is in use by another program", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replacing the control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("restricting the control socket: %w", err)
	}
	return l, nil
}

// Serve answers on the socket until ctx ends, and closes it.
func Serve(ctx context.Context, l net.Listener, src Source) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathStatus, func(w http.ResponseWriter, _ *http.Request) { answer(w, src.Status()) })
	mux.HandleFunc("GET "+pathSessions, func(w http.ResponseWriter, _ *http.Request) {
		sessions, _ := src.Snapshot()
		slices.SortFunc(sessions, func(a, b Session) int { return cmp.Compare(a.Session, b.Session) })
		answer(w, sessions)
	})
	mux.HandleFunc("GET "+pathPinholes, func(w http.ResponseWriter, _ *http.Request) {
		_, pinholes := src.Snapshot()
		slices.SortFunc(pinholes, func(a, b Pinhole) int { return cmp.Compare(a.Session, b.Session) })
		answer(w, pinholes)
	})
	mux.HandleFunc("GET "+pathEvents, func(w http.ResponseWriter, r *http.Request) { follow(r.Context(), w, src) })
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		ctx, cancel := context.WithTimeout(context.Background(), lastWords)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
	})
	err := server.Serve(l)
	if !stop() {
		<-stopped
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the control socket: %w", err)
	}
	return nil
}

// lastWords is how long answers may take after the end: who follows events gets the
// last ones.
const lastWords = time.Second

// answer writes a value; a reader that is gone is nobody's loss.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// follow writes events as they happen, until the reader goes or the daemon ends.
func follow(ctx context.Context, w http.ResponseWriter, src Source) {
	events, cancel := src.Subscribe()
	defer cancel()
	w.Header().Set("Content-Type", "application/jsonl")
	out, encoder := http.NewResponseController(w), json.NewEncoder(w)
	for {
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case e, more := <-events:
			if !more || encoder.Encode(e) != nil {
				return
			}
		}
	}
}
