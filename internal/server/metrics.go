package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"doorward/internal/sqldb"
)

// metrics are the figures of one node, in the Prometheus text format on a listener of their own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "doorward_http_request_seconds", Help: "Time to answer a request, by route and status.",
		Buckets: []float64{.001, .005, .02, .05, .2, 1, 5}}, []string{"route", "status"})}
	outbox := func(state string) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			n, err := sqldb.One(s.DB.Read(ctx), sqldb.Value[int64], `select count(*) from outbox where state = $1`, state)
			if err != nil {
				s.Log.Error("metrics", "error", err)
				return -1
			}
			return float64(n)
		}
	}
	m.registry.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "doorward_outbox_ready", Help: "Mails that wait to be sent."}, outbox("ready")),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "doorward_outbox_dead", Help: "Mails that were given up."}, outbox("dead")),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "doorward_password_hashes_total", Help: "argon2id computations."},
			func() float64 { return float64(s.Hasher.Count()) }))
	return m
}

// wrap observes each request by the pattern of its route, never by its path.
func (m *metrics) wrap(next http.Handler, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		_, route := mux.Handler(r)
		m.requests.WithLabelValues(route, strconv.Itoa(rec.status)).Observe(time.Since(start).Seconds())
	})
}

// serveMetrics answers on the metrics listener until ctx ends.
func (s *Server) serveMetrics(ctx context.Context, m *metrics) error {
	l, err := net.Listen("tcp", s.Settings.MetricsListen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s for metrics: %w", s.Settings.MetricsListen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second}))
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second}
	go func() {
		if err := web.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.Log.Error("metrics", "error", err)
		}
	}()
	context.AfterFunc(ctx, func() { _ = web.Close() })
	return nil
}
