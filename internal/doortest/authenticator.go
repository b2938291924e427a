package doortest

import (
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
)

// Authenticator is a virtual one that a tab can ask (WebDriver extension of W3C Web Authentication): it answers at once, as if the person
// had touched it, unless Silent.
type Authenticator struct {
	tab *Chrome
	id  webauthn.AuthenticatorID
}

// Passkeys gives the tab the passkey store of a device: it verifies the person and names the account itself.
func (c *Chrome) Passkeys() *Authenticator {
	c.World.T.Helper()
	return c.plug(webauthn.VirtualAuthenticatorOptions{Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
		IsUserVerified: true, DefaultBackupEligibility: true, DefaultBackupState: true})
}

// RoamingKey plugs a plain security key into the tab: it knows no accounts and verifies nobody.
func (c *Chrome) RoamingKey() *Authenticator {
	c.World.T.Helper()
	return c.plug(webauthn.VirtualAuthenticatorOptions{Transport: webauthn.AuthenticatorTransportUsb})
}

// NoAutofill makes it a browser that offers no passkeys in the autofill.
func (c *Chrome) NoAutofill() *Chrome {
	c.World.T.Helper()
	send(c, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false`})
	return c
}

func (c *Chrome) plug(o webauthn.VirtualAuthenticatorOptions) *Authenticator {
	c.World.T.Helper()
	send(c, webauthn.Enable, webauthn.EnableParams{})
	o.Protocol, o.AutomaticPresenceSimulation = webauthn.AuthenticatorProtocolCtap2, true
	return &Authenticator{c, send(c, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &o}).AuthenticatorID}
}

// Unplug takes it away. What is being asked of it ends.
func (a *Authenticator) Unplug() {
	a.tab.World.T.Helper()
	send(a.tab, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id})
}

// Silent makes it wait for a touch that never comes, or answer again.
func (a *Authenticator) Silent(yes bool) *Authenticator {
	a.tab.World.T.Helper()
	send(a.tab, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: !yes})
	return a
}

// Verifies makes the check of the person succeed or fail.
func (a *Authenticator) Verifies(yes bool) {
	a.tab.World.T.Helper()
	send(a.tab, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: yes})
}

// Unverified makes it claim in its answers that it verified nobody, whatever it was asked for.
func (a *Authenticator) Unverified(yes bool) {
	a.tab.World.T.Helper()
	send(a.tab, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: a.id, IsBadUV: &yes})
}

// Credentials returns what it holds.
func (a *Authenticator) Credentials() []*webauthn.Credential {
	a.tab.World.T.Helper()
	return send(a.tab, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id}).Credentials
}

// Holds puts copies of credentials into it.
func (a *Authenticator) Holds(list ...*webauthn.Credential) *Authenticator {
	a.tab.World.T.Helper()
	// Not webauthn.AddCredential: it also sends a setting that these authenticators refuse.
	add := cdp.Command[map[string]any, cdp.Empty]{Method: webauthn.CommandAddCredential}
	for _, one := range list {
		send(a.tab, add, map[string]any{"authenticatorId": a.id, "credential": map[string]any{"credentialId": one.CredentialID, "rpId": one.RpID,
			"privateKey": one.PrivateKey, "userHandle": one.UserHandle, "signCount": one.SignCount, "isResidentCredential": one.IsResidentCredential,
			"backupEligibility": one.BackupEligibility, "backupState": one.BackupState}})
	}
	return a
}
