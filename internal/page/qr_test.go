package page_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"doorward/internal/page"
)

// TestQR redraws the path and looks for what ISO/IEC 18004 puts there: the quiet zone and the three finder patterns.
func TestQR(t *testing.T) {
	q, err := page.DrawQR("otpauth://totp/Fabrikam:ada@fabrikam.example?secret=JBSWY3DPEHPK3PXP&issuer=Fabrikam")
	if err != nil {
		t.Fatal(err)
	}
	dark := make([][]bool, q.Size)
	for y := range dark {
		dark[y] = make([]bool, q.Size)
	}
	drawn := regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)
	if rest := drawn.ReplaceAllString(q.Path, ""); rest != "" {
		t.Fatalf("the path holds %q", rest)
	}
	for _, m := range drawn.FindAllStringSubmatch(q.Path, -1) {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+1]) // digits, as the pattern says
		}
		for x := n[0]; x < n[0]+n[2]; x++ {
			dark[n[1]][x] = true
		}
		if n[2] != n[3] {
			t.Errorf("a run goes %d there and %d back", n[2], n[3])
		}
	}
	finder := strings.Split("#######,#.....#,#.###.#,#.###.#,#.###.#,#.....#,#######", ",")
	for y := range dark {
		for x := range dark {
			if (x < 4 || y < 4 || x >= q.Size-4 || y >= q.Size-4) && dark[y][x] {
				t.Fatalf("the quiet zone is not quiet at %d, %d", x, y)
			}
		}
	}
	for _, corner := range [][2]int{{4, 4}, {q.Size - 11, 4}, {4, q.Size - 11}} {
		for y, row := range finder {
			for x, c := range row {
				if dark[corner[1]+y][corner[0]+x] != (c == '#') {
					t.Fatalf("no finder pattern at %v", corner)
				}
			}
		}
	}
	if _, err := page.DrawQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text too long for a QR code was drawn")
	}
}

func TestGroups(t *testing.T) {
	for in, want := range map[string]string{"": "", "ABC": "ABC", "ABCD": "ABCD", "ABCDE": "ABCD E", "ABCDEFGH": "ABCD EFGH"} {
		if got := strings.Join(page.Groups(in), " "); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}
