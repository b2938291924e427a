package factor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the lists of stolen passwords are made with it; nothing depends on its strength
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/FastFilter/xorfilter"
	"golang.org/x/text/unicode/norm"

	"doorward/internal/secret"
)

// Breached is the operator's list of stolen passwords, which nobody may choose. What is kept of the list is one file of binary fuse
// filters (Graf and Lemire, "Binary Fuse Filters", 2022): some 2.5 bytes for each password, which finds every one of them and takes one in
// 65,536 others for one of them.
//
//	head   magic, version, checksum, number of passwords, and where each part is, with its checksum
//	parts  256 filters; a password is in the part that its key ends in
//
// The key is the first 8 bytes of the SHA-1 of the password, which the lists hold. The file is opened anew for each new password, which is
// far cheaper than the hash that follows: so it takes neither memory nor time at start, and a list that is imported while servers run
// counts at once. Nil, and a file that is not there, are a list without passwords.
type Breached struct {
	path string
	mu   sync.Mutex // one part in memory at a time
}

// BreachedAt returns the list whose file is, or will be, at path.
func BreachedAt(path string) *Breached { return &Breached{path: path} }

const (
	breachedMagic   = "doorward-leaked\n"
	breachedVersion = 1
	breachedParts   = 256
	mostPerPart     = 1 << 25 // some 8 billion passwords in all; building a part takes 35 bytes of memory for each of its own
)

// breachedHead is the beginning of the file, little endian.
type breachedHead struct {
	Magic   [16]byte
	Version uint32
	Sum     uint32 // of this head, with 0 here
	Entries int64
	Parts   [breachedParts]breachedPart
}

// breachedPart says where a part is. One without passwords has no bytes.
type breachedPart struct {
	At   int64
	Size uint32
	Sum  uint32 // CRC-32C
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns the head's bytes with its checksum in them.
func (h breachedHead) encode() ([]byte, error) {
	h.Sum = 0
	b, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		return nil, err
	}
	h.Sum = crc32.Checksum(b, castagnoli)
	return binary.Append(b[:0], binary.LittleEndian, h)
}

// open opens the file and checks its head. A missing file gives fs.ErrNotExist.
func (b *Breached) open() (*os.File, breachedHead, error) {
	var h breachedHead
	f, err := os.Open(b.path)
	if err != nil {
		return nil, h, err
	}
	raw := make([]byte, binary.Size(h))
	n, err := io.ReadFull(f, raw)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
	case !bytes.HasPrefix(raw, []byte(breachedMagic)):
		err = fmt.Errorf("%s is not a list of stolen passwords that Doorward made", b.path)
	case n < len(raw):
		err = b.damaged()
	default:
		if _, err = binary.Decode(raw, binary.LittleEndian, &h); err != nil {
			break
		}
		if h.Version != breachedVersion {
			err = fmt.Errorf("%s was made by another version of Doorward; run `doorward passwords import` again", b.path)
			break
		}
		var again []byte
		if again, err = h.encode(); err == nil && !bytes.Equal(raw, again) {
			err = b.damaged()
		}
	}
	if err != nil {
		return nil, h, errors.Join(err, f.Close())
	}
	return f, h, nil
}

func (b *Breached) damaged() error {
	return fmt.Errorf("%s is damaged; run `doorward passwords import` again", b.path)
}

// part reads one part and checks it; nil when it has no passwords.
func (b *Breached) part(f *os.File, p breachedPart) (*xorfilter.BinaryFuse[uint16], error) {
	if p.Size == 0 {
		return nil, nil
	}
	raw := make([]byte, p.Size)
	if _, err := f.ReadAt(raw, p.At); errors.Is(err, io.EOF) {
		return nil, b.damaged()
	} else if err != nil {
		return nil, err
	}
	if crc32.Checksum(raw, castagnoli) != p.Sum {
		return nil, b.damaged()
	}
	return xorfilter.LoadBinaryFuse[uint16](bytes.NewReader(raw))
}

// Contains tells whether a password, in the form that Normalize returns, is on the list. The error is for the log.
func (b *Breached) Contains(password secret.Text) (found bool, err error) {
	if b == nil {
		return false, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f, h, err := b.open()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	key := breachedKey([]byte(password))
	filter, err := b.part(f, h.Parts[key%breachedParts])
	return filter != nil && filter.Contains(key), err
}

// Entries returns how many passwords the list has, and false when there is none. It looks at the head of the file alone; the error is
// one line for the operator.
func (b *Breached) Entries() (n int64, there bool, err error) {
	f, h, err := b.open()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, true, err
	}
	return h.Entries, true, f.Close()
}

// Check reads the whole file, if there is one, and returns what is wrong with it as one line for the operator.
func (b *Breached) Check() (err error) {
	f, h, err := b.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, p := range h.Parts {
		if _, err := b.part(f, p); err != nil {
			return err
		}
	}
	return nil
}

func breachedKey(password []byte) uint64 {
	sum := sha1.Sum(password) //nolint:gosec // see the import
	return binary.BigEndian.Uint64(sum[:])
}

// isHash tells whether a line is a hash of that many bytes in hexadecimal, and whether ":count" follows, as in the lists of Have I Been
// Pwned.
func isHash(line []byte, size int) (is, counted bool) {
	if len(line) < 2*size {
		return false, false
	}
	var raw [sha1.Size]byte
	if _, err := hex.Decode(raw[:size], line[:2*size]); err != nil {
		return false, false
	}
	count, counted := bytes.CutPrefix(line[2*size:], []byte(":"))
	return counted == (len(count) > 0) && len(bytes.Trim(count, "0123456789")) == 0, counted
}

// lineKey returns the key of a line of a list.
func lineKey(line []byte) (uint64, error) {
	if is, _ := isHash(line, sha1.Size); is {
		var raw [8]byte
		_, err := hex.Decode(raw[:], line[:16])
		return binary.BigEndian.Uint64(raw[:]), err
	}
	if is, counted := isHash(line, 16); is && counted {
		return 0, errors.New("it is an NTLM hash; take the list with SHA-1")
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return 0, errors.New("it is not text; a packed list has to be unpacked first")
	}
	return breachedKey(norm.NFC.Bytes(line)), nil
}

// Build makes the file from a list with one password, or one SHA-1 hash in hexadecimal with or without ":count", on each line, in any
// order. Each counts once. What it takes is memory of 17 MB and 35 bytes for each 256th password, and up to 8 bytes for each line on the
// disk. told, unless it is nil, hears now and then how many bytes of the list were read and what share of the file is made. complete is
// called with the number of passwords when the file is ready, just before it takes the old one's place; after an error of it, or any
// other, the old file stays.
func (b *Breached) Build(ctx context.Context, list io.Reader, told func(read int64, made float64), complete func(entries int64) error) (err error) {
	if told == nil {
		told = func(int64, float64) {}
	}
	dir := filepath.Dir(b.path)
	keys := keySpill{dir: dir}
	defer func() { err = errors.Join(err, keys.close()) }()
	read, err := keys.read(ctx, list, told)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".passwords-*") // made with mode 0600
	if err != nil {
		return err
	}
	entries, err := write(ctx, f, &keys, func(made float64) { told(read, made) })
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		if err = complete(entries); err == nil {
			err = os.Rename(f.Name(), b.path)
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// write writes the file of these keys and returns how many there are.
func write(ctx context.Context, f *os.File, keys *keySpill, made func(float64)) (int64, error) {
	h := breachedHead{Version: breachedVersion}
	copy(h.Magic[:], breachedMagic)
	at := int64(binary.Size(h))
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	var builder xorfilter.BinaryFuseBuilder
	for i := range h.Parts {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		list, err := keys.part(i)
		if err != nil {
			return 0, err
		}
		if len(list) == 0 {
			continue
		}
		filter, err := xorfilter.BuildBinaryFuse[uint16](&builder, list)
		if err != nil {
			return 0, err
		}
		sum := crc32.New(castagnoli)
		out := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<16)
		if err := errors.Join(filter.Save(out), out.Flush()); err != nil {
			return 0, err
		}
		end, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0, err
		}
		h.Parts[i] = breachedPart{At: at, Size: uint32(end - at), Sum: sum.Sum32()}
		h.Entries += int64(len(list))
		at = end
		made(float64(i+1) / breachedParts)
	}
	head, err := h.encode()
	if err != nil {
		return 0, err
	}
	_, err = f.WriteAt(head, 0)
	return h.Entries, err
}

// keySpill holds the keys of a list by part: the newest in memory, the others in a file.
type keySpill struct {
	dir   string
	file  *os.File // nil until the first chunk is full
	end   int64
	parts [breachedParts]struct {
		keys   []uint64
		chunks []int64 // where in the file
	}
}

// chunkKeys is how many keys of a part go to the file at once.
const chunkKeys = 8192

// read takes all lines of a list and returns how many bytes they have.
func (s *keySpill) read(ctx context.Context, list io.Reader, told func(int64, float64)) (read int64, err error) {
	in := bufio.NewReaderSize(list, 1<<20)
	any := false
	for n := int64(1); ; n++ {
		line, err := in.ReadSlice('\n')
		last := errors.Is(err, io.EOF)
		if err != nil && !last && !errors.Is(err, bufio.ErrBufferFull) {
			return read, err
		}
		if read == 0 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // a byte order mark
		}
		read += int64(len(line))
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(line) > mostBytes {
			return read, fmt.Errorf("line %d has more than %d bytes; want one password or SHA-1 hash on each line", n, mostBytes)
		}
		if len(line) > 0 {
			key, err := lineKey(line)
			if err != nil {
				return read, fmt.Errorf("line %d: %w", n, err)
			}
			if err := s.add(key); err != nil {
				return read, err
			}
			any = true
		}
		if n%(1<<16) == 0 || last {
			if err := ctx.Err(); err != nil {
				return read, err
			}
			told(read, 0)
		}
		if last {
			break
		}
	}
	if !any {
		return read, errors.New("there is no password in the list")
	}
	return read, nil
}

func (s *keySpill) add(key uint64) error {
	p := &s.parts[key%breachedParts]
	if p.keys = append(p.keys, key); len(p.keys) < chunkKeys {
		return nil
	}
	if s.file == nil {
		var err error
		if s.file, err = os.CreateTemp(s.dir, ".passwords-*"); err != nil {
			return err
		}
	}
	raw, err := binary.Append(make([]byte, 0, 8*chunkKeys), binary.LittleEndian, p.keys)
	if err != nil {
		return err
	}
	if _, err := s.file.WriteAt(raw, s.end); err != nil {
		return err
	}
	p.chunks, p.keys = append(p.chunks, s.end), p.keys[:0]
	s.end += int64(len(raw))
	return nil
}

// part returns the keys of a part, each once.
func (s *keySpill) part(i int) ([]uint64, error) {
	p := &s.parts[i]
	raw, chunk := make([]byte, 8*chunkKeys), make([]uint64, chunkKeys)
	keys := slices.Grow(p.keys, len(p.chunks)*chunkKeys)
	for _, at := range p.chunks {
		if _, err := s.file.ReadAt(raw, at); err != nil {
			return nil, err
		}
		if _, err := binary.Decode(raw, binary.LittleEndian, chunk); err != nil {
			return nil, err
		}
		keys = append(keys, chunk...)
	}
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) > mostPerPart {
		return nil, fmt.Errorf("the list has more than %d passwords", int64(mostPerPart)*breachedParts)
	}
	return keys, nil
}

func (s *keySpill) close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
