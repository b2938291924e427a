package demo

import (
	"crypto/rand"
	"math/big"
	"strconv"
	"strings"

	"doorward/internal/access"
	"doorward/internal/id"
	"doorward/internal/locale"
	"doorward/internal/org"
	"doorward/internal/secret"
	"doorward/internal/signin"
)

// Fate is how somebody of the cast stands at the end of the story.
type Fate string

// The fates.
const (
	GetsIn      Fate = "gets_in"      // with password and code
	NoApp       Fate = "no_app"       // active, and has to set up an app at the first sign-in
	MailedCode  Fate = "mailed_code"  // the same, so long after the activation that a code is mailed first
	Invited     Fate = "invited"      // with a link that is good
	LinkEnded   Fate = "link_ended"   // with one that is not
	NoRole      Fate = "no_role"      // refused: active, without a role
	AccessEnded Fate = "access_ended" // refused: the role has ended
	Disabled    Fate = "disabled"     // refused: the account is disabled
)

// Person is somebody of the cast.
type Person struct {
	Org      string // tenant domain
	Name     string
	Email    string
	Roles    []string
	Fate     Fate
	Password secret.Text // empty for who was invited and has none yet

	by    string // address of who invites
	sees  string // tenant domain of the one customer that someone of the MSP sees
	ends  int    // how many days ago the roles ended
	shows string // catalogue key, under "demo.shows.", of what this account shows
	days  string // what happens on each day of the story

	account  id.Account
	password id.Factor // changes with the password
	visitor  signin.Visitor
	held     signin.Held // what the browser keeps from one sign-in to the next
}

// The letters of a person's days. The last one is today.
const (
	rests     = '.'
	isInvited = 'i'
	activates = 'a' // after being invited the same day
	signsIn   = '+' // and is invited and activates before, the first time
	isLeaving = 'x' // is disabled by who invited
)

// cast is everyone, each after whom they are invited by.
func cast() []Person {
	const helen, ada, katrin, grace = "helen.brooks@northwind.example", "ada.byrne@contoso.example", "katrin.vogel@fabrikam.example",
		"grace.morgan@adventure.example"
	return []Person{
		{Org: "northwind", Name: "Helen Brooks", Email: helen, Roles: []string{access.Administrator}, Fate: GetsIn, shows: "provider_administrator",
			days: "++.++..++.+.++"},
		{Org: "northwind", Name: "Omar Haddad", Email: "omar.haddad@northwind.example", Roles: []string{access.Support}, Fate: MailedCode, by: helen,
			days: ".........a...."},

		{Org: "contoso", Name: "Ada Byrne", Email: ada, Roles: []string{access.Administrator}, Fate: GetsIn, by: helen, shows: "msp_administrator",
			days: "++.+++.+.+++++"},
		{Org: "contoso", Name: "Tom Okafor", Email: "tom.okafor@contoso.example", Roles: []string{access.Editor}, Fate: GetsIn, by: ada, sees: "fabrikam",
			shows: "msp_editor", days: "..++.+..++.+.+"},
		{Org: "contoso", Name: "Sofia Marino", Email: "sofia.marino@contoso.example", Roles: []string{access.Viewer}, Fate: GetsIn, by: ada,
			sees: "adventure", shows: "msp_viewer", days: "...+.+...+..+."},
		{Org: "contoso", Name: "Jan Kowalski", Email: "jan.kowalski@contoso.example", Roles: []string{access.Editor}, Fate: AccessEnded, by: ada, ends: 3,
			days: ".+.++..+.+..+."},
		{Org: "contoso", Name: "Priya Nair", Email: "priya.nair@contoso.example", Roles: []string{access.Viewer}, Fate: LinkEnded, by: ada,
			days: ".........i...."},

		{Org: "fabrikam", Name: "Katrin Vogel", Email: katrin, Roles: []string{access.Administrator}, Fate: GetsIn, by: ada, shows: "full_administrator",
			days: ".+.++.++.++.++"},
		{Org: "fabrikam", Name: "Jonas Weber", Email: "jonas.weber@fabrikam.example", Roles: []string{access.CoManager}, Fate: GetsIn, by: katrin,
			shows: "co_manager", days: "...+.+..+.++.+"},
		{Org: "fabrikam", Name: "Petra Lange", Email: "petra.lange@fabrikam.example", Roles: []string{access.Auditor}, Fate: Disabled, by: katrin,
			days: "..+.+..x...+.."},
		{Org: "fabrikam", Name: "Lukas Brandt", Email: "lukas.brandt@fabrikam.example", Fate: NoRole, by: katrin,
			days: "........+..+.."},
		{Org: "fabrikam", Name: "Emil Hartmann", Email: "emil.hartmann@fabrikam.example", Roles: []string{access.Core}, Fate: Invited, by: katrin,
			days: "............i."},
		{Org: "fabrikam", Name: "Mia Schuster", Email: "mia.schuster@fabrikam.example", Roles: []string{access.Core}, Fate: NoApp, by: katrin,
			days: ".............a"},

		{Org: "adventure", Name: "Grace Morgan", Email: grace, Roles: []string{access.Administrator}, Fate: GetsIn, by: ada, shows: "free_administrator",
			days: "..+.+..+.+.+++"},
		{Org: "adventure", Name: "Daniel Reyes", Email: fresh, Roles: []string{access.Core}, Fate: Invited, by: grace,
			days: ".............i"},
	}
}

// fresh is the address of who has the fresh activation link.
const fresh = "daniel.reyes@adventure.example"

// stages are the organisations, made by who invites the first person into them.
func stages() map[string]org.New {
	return map[string]org.New{
		"northwind": {Kind: access.Provider, Name: "Northwind Software"},
		"contoso":   {Kind: access.MSP, Name: "Contoso IT", TimeZone: "Europe/Dublin"},
		"fabrikam":  {Kind: access.Customer, Name: "Fabrikam", Language: locale.German, TimeZone: "Europe/Berlin"},
		"adventure": {Kind: access.Customer, Name: "Adventure Works"},
	}
}

// says is the catalogue key of what an account shows.
func (p Person) says() string {
	if p.shows == "" {
		return "demo.shows." + string(p.Fate)
	}
	return "demo.shows." + p.shows
}

// newPassword returns four random words and a number, such as "maple-otter-lamp-river-47": at least 18 characters that can be typed.
func newPassword() (secret.Text, error) {
	list := strings.Fields(words)
	var parts []string
	for range 4 {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(list))))
		if err != nil {
			return "", err
		}
		parts = append(parts, list[n.Int64()])
	}
	n, err := rand.Int(rand.Reader, big.NewInt(90))
	if err != nil {
		return "", err
	}
	return secret.Text(strings.Join(append(parts, strconv.FormatInt(10+n.Int64(), 10)), "-")), nil
}

const words = `acorn amber anchor apple apron arrow aspen autumn badge bagel baker bamboo banjo barrel basil beacon beaver berry birch bishop
	blanket bottle branch brass breeze bridge bronze bucket butter button cabin cactus camel candle canoe canyon carrot castle cedar cello
	chalk cherry cider cliff clover cobalt comet copper coral cotton crane crayon cricket crystal curtain daisy dawn desert domino donkey
	dragon drum eagle easel ember engine falcon fern fiddle flint flute forest fossil fox garden garlic ginger glacier globe goose granite
	grape gravel guitar hammer harbor harvest hazel heron hickory honey hornet iceberg indigo island ivory jacket jaguar jasmine jigsaw
	juniper kayak kettle kitten ladder lagoon lantern laurel lemon lentil lilac linen lobster locket lotus magnet mango maple marble
	meadow melon mirror mitten monsoon mosaic muffin mustard napkin nectar needle nickel nutmeg oak oasis oboe olive onion orbit orchid
	otter oyster paddle panda paper parrot pebble pepper piano pigeon pillow pine planet plum pocket pony poplar pretzel pumpkin quartz
	quilt rabbit radish raven ribbon river robin rocket saddle saffron salmon sapphire satin scarf shadow sierra silver slate sparrow
	spruce squirrel stone summit sunset swallow tango teapot thistle thunder ticket timber tomato tulip tunnel turtle umbrella valley
	vanilla velvet violet violin walnut walrus willow window winter wizard yellow zebra zephyr`
