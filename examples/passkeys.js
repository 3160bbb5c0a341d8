// Passkeys and security keys: what a page does between Countersign and the browser.
//
// Each function returns the API's answer. What the browser or the person refuses is thrown:
// NotAllowedError if the person gave up or has no key that fits, InvalidStateError if the key is
// registered already, AbortError if another question took this one's place.

const API = "/_allauth/browser/v1/";
const KEYS = "account/authenticators/webauthn";
const SIGNUP = "auth/webauthn/signup";
const LOGIN = "auth/webauthn/login";

// Calls the API as the browser client does: cookies go along, and the CSRF token is repeated.
export async function call(method, path, body) {
  const csrf = document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
  const response = await fetch(API + path, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrf },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  await tell(answer.meta?.signal);
  return answer;
}

// Adds a key to the account of who is logged in: a passkey, which logs in alone, or a second factor.
export async function register(name, { passwordless = false } = {}) {
  const offer = await call("GET", passwordless ? `${KEYS}?passwordless` : KEYS);
  return offer.status === 200 ? call("POST", KEYS, { name, credential: await make(offer) }) : offer;
}

// Completes a sign-up by passkey, after `POST auth/webauthn/signup` and the verified address.
export async function signUp(name) {
  const offer = await call("GET", SIGNUP);
  return offer.status === 200 ? call("PUT", SIGNUP, { name, credential: await make(offer) }) : offer;
}

// Gives the second factor that a login waits for.
export const authenticate = () => prove("auth/webauthn/authenticate");

// Proves again who is logged in, before something is changed.
export const reauthenticate = () => prove("auth/webauthn/reauthenticate");

// Logs in by a passkey alone: for a button.
export const login = () => prove(LOGIN);

// The same where the person picks a passkey from the field that has autocomplete="username webauthn".
// Call it when the page is shown; null is for browsers that cannot.
export async function autofill() {
  if (!(await globalThis.PublicKeyCredential?.isConditionalMediationAvailable?.())) return null;
  for (;;) {
    try {
      return await prove(LOGIN, "conditional");
    } catch (error) {
      if (error.name !== "TimeoutError") throw error; // the challenge is old: take a new one
    }
  }
}

let question = new AbortController();

async function prove(path, mediation) {
  question.abort(); // a browser asks one at a time
  const own = (question = new AbortController());
  const offer = await call("GET", path);
  if (offer.status !== 200) return offer;
  const options = offer.data.request_options.publicKey;
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const stale = new DOMException("The challenge is old.", "TimeoutError");
  const timer = setTimeout(() => own.abort(stale), 0.8 * options.timeout);
  try {
    const asked = { publicKey, mediation, signal: own.signal };
    const credential = await navigator.credentials.get(asked);
    own.signal.throwIfAborted(); // it was picked as another question took this one's place
    return await call("POST", path, { credential: credential.toJSON() });
  } finally {
    clearTimeout(timer);
  }
}

async function make(offer) {
  const options = offer.data.creation_options.publicKey;
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return (await navigator.credentials.create({ publicKey })).toJSON();
}

// Tells browsers that listen which keys still count, so that they offer no others: what is in
// `meta.signal` as unknownCredential goes to PublicKeyCredential.signalUnknownCredential.
async function tell(signals = {}) {
  for (const [name, payload] of Object.entries(signals)) {
    const method = `signal${name[0].toUpperCase()}${name.slice(1)}`;
    await globalThis.PublicKeyCredential?.[method]?.(payload).catch(() => {});
  }
}
