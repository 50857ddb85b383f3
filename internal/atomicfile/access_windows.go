package atomicfile

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// granted has the rights that the owner and the access list of a file give to
// others.
type granted struct {
	foreign string // whose it is, if neither ours nor the system's
	all     string // what others may do
	write   string // what of it changes something
}

const (
	readRights = windows.FILE_READ_DATA | windows.GENERIC_READ | windows.GENERIC_ALL

	// Anyone who can delete a file, or one in the directory, or change the list
	// itself, can change the contents.
	writeRights = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | deleteChild | windows.DELETE |
		windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL

	deleteChild = 0x40 // FILE_DELETE_CHILD
)

// access examines an open file or directory. It looks only at entries that
// allow: a right that another entry denies counts as allowed. Rights on files
// to be made in a directory do not count, since our files inherit nothing.
func access(h windows.Handle) (granted, error) {
	const parts = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION
	sd, err := windows.GetSecurityInfo(h, windows.SE_FILE_OBJECT, parts)
	if err != nil {
		return granted{}, err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return granted{}, err
	}
	user, err := currentUser()
	if err != nil {
		return granted{}, err
	}
	var g granted
	if !isTrusted(owner, user) {
		g.foreign = "it belongs to " + nameOf(owner)
	}
	list, _, err := sd.DACL()
	if err == windows.ERROR_OBJECT_NOT_FOUND || err == nil && list == nil {
		g.all = "it has no access list: everybody may read and write it"
		g.write = g.all
		return g, nil
	}
	if err != nil {
		return granted{}, err
	}
	return g, g.addList(list, owner, user)
}

// addList notes the first entry that gives others anything, and the first that
// lets them write.
func (g *granted) addList(list *windows.ACL, owner, user *windows.SID) error {
	for i := range uint32(list.AceCount) {
		var entry *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &entry); err != nil {
			return err
		}
		if !allows(entry.Header) {
			continue
		}
		sid := sidOf(entry)
		if sid.Equals(owner) || isTrusted(sid, user) {
			continue
		}
		may := rights(entry.Mask)
		if may == "" {
			continue
		}
		text := fmt.Sprintf("access list: %s may %s it", nameOf(sid), may)
		if g.all == "" {
			g.all = text
		}
		if g.write == "" && entry.Mask&writeRights != 0 {
			g.write = text
		}
	}
	return nil
}

func sidOf(entry *windows.ACCESS_ALLOWED_ACE) *windows.SID {
	return (*windows.SID)(unsafe.Pointer(&entry.SidStart))
}

// allows reports the entries that give rights on the file itself. An entry with
// a condition has the same layout, and counts as if the condition always held.
func allows(header windows.ACE_HEADER) bool {
	const allowedCallback = 9 // ACCESS_ALLOWED_CALLBACK_ACE_TYPE
	switch header.AceType {
	case windows.ACCESS_ALLOWED_ACE_TYPE, allowedCallback:
		return header.AceFlags&windows.INHERIT_ONLY_ACE == 0
	}
	return false
}

func rights(mask windows.ACCESS_MASK) string {
	switch read, write := mask&readRights != 0, mask&writeRights != 0; {
	case read && write:
		return "read and write"
	case write:
		return "write"
	case read:
		return "read"
	}
	return ""
}

// isTrusted reports ourselves, and those who can do everything anyway.
func isTrusted(sid, user *windows.SID) bool {
	return sid.Equals(user) || sid.IsWellKnown(windows.WinLocalSystemSid) ||
		sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) || sid.IsWellKnown(windows.WinCreatorOwnerRightsSid)
}

// nameOf does not ask for the names of others: a domain may answer late.
func nameOf(sid *windows.SID) string {
	switch {
	case sid.IsWellKnown(windows.WinWorldSid):
		return "everyone"
	case sid.IsWellKnown(windows.WinAuthenticatedUserSid):
		return "every authenticated user"
	case sid.IsWellKnown(windows.WinBuiltinUsersSid):
		return "every user of this machine"
	}
	return sid.String()
}

func currentUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	return user.User.Sid, nil
}

// ownerOnly returns the attributes that give a new file or directory to us and
// the system alone: an access list that inherits nothing. Files that are made
// in the directory inherit the same list.
func ownerOnly(directory bool) (*windows.SecurityAttributes, error) {
	user, err := currentUser()
	if err != nil {
		return nil, err
	}
	inherit := ""
	if directory {
		inherit = "OICI"
	}
	sd, err := windows.SecurityDescriptorFromString(
		fmt.Sprintf("D:P(A;%s;FA;;;%s)(A;%s;FA;;;SY)", inherit, user, inherit))
	if err != nil {
		return nil, err
	}
	return &windows.SecurityAttributes{
		Length:             uint32(unsafe.Sizeof(windows.SecurityAttributes{})),
		SecurityDescriptor: sd,
	}, nil
}
