package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Bounds on what those who ask may have, as anybody may who reaches the address.
const (
	maxConnections = 16
	maxAnswering   = 4 // at a time
	maxHeader      = 16 << 10
	maxTime        = 10 * time.Second // for a question, and for its answer
)

// Listen opens the address that the metrics are served on.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: %w", err)
	}
	return netutil.LimitListener(l, maxConnections), nil
}

// Serve answers /metrics and /healthz until ctx ends. It closes the listener.
func Serve(ctx context.Context, l net.Listener, source Source) error {
	server := &http.Server{
		Handler: handler(source), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: maxTime, ReadTimeout: maxTime, WriteTimeout: maxTime, IdleTimeout: 2 * time.Minute,
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}

// paced asks a source no more often than every atLeast, and once at a time: each time the
// workers have to answer, and who may ask is not known. As others get the same answer, it
// does not end with who asked first.
type paced struct {
	source Source

	mu    sync.Mutex
	asked time.Time
	last  Numbers
	err   error
}

const atLeast = 200 * time.Millisecond

// Numbers implements Source.
func (p *paced) Numbers(ctx context.Context) (Numbers, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.asked) >= atLeast {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		p.last, p.err = p.source.Numbers(ctx)
		p.asked = time.Now()
	}
	return p.last, p.err
}

func registry(source Source) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		newCollector(source), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

func handler(source Source) http.Handler {
	source = &paced{source: source}
	r := registry(source)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxAnswering, Timeout: maxTime}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, q *http.Request) {
		text := "ok\n"
		if _, err := source.Numbers(q.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = err.Error() + "\n"
		}
		_, _ = io.WriteString(w, text)
	})
	return mux
}
