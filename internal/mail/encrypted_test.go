package mail

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// elsewhere is a connection to a server that is not on the loopback interface.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 587} }

// Whoever strips STARTTLS from the server's answer gets no password, also where encryption is optional.
func TestPasswordIsNotSentUnencrypted(t *testing.T) {
	for _, setting := range []string{
		"smtp://doorward:hunter2@mail.example.org?starttls=optional", "smtp://doorward:hunter2@localhost?starttls=off",
	} {
		s, err := NewSMTP(setting)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		heard := make(chan string)
		go func() {
			var all strings.Builder
			_, _ = io.WriteString(theirs, "220 man in the middle\r\n")
			for lines := bufio.NewScanner(theirs); lines.Scan(); {
				all.WriteString(lines.Text() + "\n")
				_, _ = io.WriteString(theirs, "250-man in the middle\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n")
			}
			heard <- all.String()
		}()
		_, err = s.open(t.Context(), elsewhere{ours})
		_ = ours.Close()
		if said := <-heard; err == nil || !strings.Contains(err.Error(), "not encrypted") || strings.Contains(said, "AUTH") {
			t.Errorf("%s: %v; it said %q", setting, err, said)
		}
	}
}
