package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"doorward/internal/config"
	"doorward/internal/doortest"
	"doorward/internal/sqldb"
)

// Metrics answer on their own listener alone, and name routes, never paths.
func TestMetrics(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	w := doortest.New(t, sqldb.SQLite, doortest.Options{Settings: func(s *config.Settings) { s.MetricsListen = addr }})
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- w.Serve(ctx, func(a string) { ready <- a }) }()
	base := "http://" + <-ready
	fetch := func(address string) (int, string) {
		res, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	fetch(base + "/activate/dwa_canary")
	if status, _ := fetch(base + "/metrics"); status != http.StatusNotFound {
		t.Errorf("/metrics on the public listener answers %d", status)
	}
	_, body := fetch("http://" + addr + "/metrics")
	for _, want := range []string{`route="GET /activate/{token}"`, "doorward_outbox_ready 0", "go_goroutines"} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(body, "canary") {
		t.Error("a path is in the metrics")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}
