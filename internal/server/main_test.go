package server_test

import (
	"testing"

	"go.uber.org/goleak"
)

// What a server starts, it stops.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
