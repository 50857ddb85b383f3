package clip

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Clipboard is that of the window station.
type Clipboard struct {
	Buffer string // "": no file holds the value
}

// Find returns the clipboard.
func Find([]string) (*Clipboard, error) { return &Clipboard{}, nil }

const (
	formatText = 13     // CF_UNICODETEXT
	moveable   = 0x0002 // GMEM_MOVEABLE
)

// Copy puts a value on the clipboard, and asks the system to keep it out of the
// clipboard's history and of other machines.
func (c *Clipboard) Copy(ctx context.Context, value []byte) error {
	return withClipboard(ctx, func() error {
		if err := call("EmptyClipboard"); err != nil {
			return err
		}
		for _, format := range []string{"ExcludeClipboardContentFromMonitorProcessing", "CanIncludeInClipboardHistory", "CanUploadToCloudClipboard"} {
			name, err := windows.UTF16PtrFromString(format)
			if err != nil {
				return err
			}
			id, _, err := user32("RegisterClipboardFormatW").Call(uintptr(unsafe.Pointer(name)))
			if id == 0 {
				return fmt.Errorf("RegisterClipboardFormatW: %w", err)
			}
			if err := set(id, []uint16{0, 0}); err != nil { // a DWORD, 0 is no
				return err
			}
		}
		text := append(utf16.Encode([]rune(string(value))), 0)
		defer clear(text)
		return set(formatText, text)
	})
}

// read writes the text on the clipboard, or nothing if there is none.
func (c *Clipboard) read(ctx context.Context, to io.Writer) error {
	return withClipboard(ctx, func() error {
		handle, _, _ := user32("GetClipboardData").Call(formatText)
		if handle == 0 {
			return nil
		}
		at, _, err := kernel32("GlobalLock").Call(handle)
		if at == 0 {
			return fmt.Errorf("GlobalLock: %w", err)
		}
		defer kernel32("GlobalUnlock").Call(handle)
		_, err = io.WriteString(to, windows.UTF16PtrToString(pointer(at)))
		return err
	})
}

func (c *Clipboard) clear(ctx context.Context) error {
	return withClipboard(ctx, func() error { return call("EmptyClipboard") })
}

// set gives the clipboard a copy of the data, which belongs to the system then.
func set(format uintptr, data []uint16) error {
	handle, _, err := kernel32("GlobalAlloc").Call(moveable, uintptr(2*len(data)))
	if handle == 0 {
		return fmt.Errorf("GlobalAlloc: %w", err)
	}
	at, _, err := kernel32("GlobalLock").Call(handle)
	if at == 0 {
		_, _, _ = kernel32("GlobalFree").Call(handle)
		return fmt.Errorf("GlobalLock: %w", err)
	}
	copy(unsafe.Slice(pointer(at), len(data)), data)
	_, _, _ = kernel32("GlobalUnlock").Call(handle)
	if done, _, err := user32("SetClipboardData").Call(format, handle); done == 0 {
		_, _, _ = kernel32("GlobalFree").Call(handle)
		return fmt.Errorf("SetClipboardData: %w", err)
	}
	return nil
}

// pointer is to memory of the system, which does not move while it is locked.
func pointer(at uintptr) *uint16 { return *(**uint16)(unsafe.Pointer(&at)) }

// withClipboard opens the clipboard, which is a thread's, and waits for a program
// that has it open.
func withClipboard(ctx context.Context, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const moment, most = 10 * time.Millisecond, 100
	for tries := 1; ; tries++ {
		err := call("OpenClipboard", 0)
		if err == nil {
			break
		}
		if tries == most || ctx.Err() != nil {
			return err
		}
		time.Sleep(moment)
	}
	defer call("CloseClipboard")
	return f()
}

// call calls a function of user32 that returns whether it succeeded.
func call(name string, args ...uintptr) error {
	if done, _, err := user32(name).Call(args...); done == 0 {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func user32(name string) *windows.LazyProc {
	return windows.NewLazySystemDLL("user32.dll").NewProc(name)
}

func kernel32(name string) *windows.LazyProc {
	return windows.NewLazySystemDLL("kernel32.dll").NewProc(name)
}
