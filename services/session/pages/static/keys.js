// Passkeys and security keys: a form whose answer is made by one. The form says where the options
// are (data-options) and what is done with them (data-ceremony: get or create). What the key has
// made goes into the field `credential`, and the form is sent like any other.

const supported = globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON !== undefined;
let question = new AbortController();

async function offer(form) {
  const url = new URL(form.dataset.options, location.href);
  const kind = form.querySelector("[name=passwordless]:checked");
  if (kind) url.searchParams.set("passwordless", kind.value);
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  if (response.status === 401) location.reload(); // something has to be proved before that
  if (!response.ok) throw new DOMException("There are no options.", "NetworkError");
  return response.json();
}

async function ask(form, mediation) {
  question.abort(); // a browser asks one at a time
  const own = (question = new AbortController());
  const given = await offer(form);
  const create = form.dataset.ceremony === "create";
  const options = (create ? given.creation_options : given.request_options).publicKey;
  const stale = new DOMException("The challenge is old.", "TimeoutError");
  const timer = setTimeout(() => own.abort(stale), 0.8 * options.timeout);
  try {
    const credential = create
      ? await navigator.credentials.create({
          publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options), signal: own.signal,
        })
      : await navigator.credentials.get({
          publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), mediation,
          signal: own.signal,
        });
    own.signal.throwIfAborted();
    form.elements.credential.value = JSON.stringify(credential.toJSON());
    form.submit();
  } finally {
    clearTimeout(timer);
  }
}

function say(form, error) {
  const place = form.querySelector("[data-trouble]");
  const texts = { NotAllowedError: "refused", InvalidStateError: "known", NetworkError: "away" };
  place.querySelector("span").textContent = place.dataset[texts[error?.name] ?? "failed"];
  place.hidden = !error;
}

async function autofill(form) {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  for (;;) {
    try {
      return await ask(form, "conditional");
    } catch (error) {
      if (error.name !== "TimeoutError") return; // the button is there, and says what is wrong
    }
  }
}

for (const form of document.querySelectorAll("form[data-ceremony]")) {
  if (!supported) {
    const none = form.querySelector("[data-unsupported]");
    if (none) none.hidden = false;
    continue;
  }
  form.querySelector("[data-go]").hidden = false;
  form.hidden = false;
  const button = form.querySelector("[data-go]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.setAttribute("aria-busy", "true");
    form.querySelector("[data-trouble]").hidden = true;
    try {
      await ask(form);
    } catch (error) {
      if (error.name !== "AbortError") say(form, error);
      button.removeAttribute("aria-busy");
    }
  });
  if ("autofill" in form.dataset) autofill(form);
}

// Browsers that listen are told which passkeys still count, so that they offer no others.
const told = document.querySelector("[data-signal]");
if (told) {
  for (const [name, payload] of Object.entries(JSON.parse(told.dataset.signal))) {
    const method = `signal${name[0].toUpperCase()}${name.slice(1)}`;
    globalThis.PublicKeyCredential?.[method]?.(payload).catch(() => {});
  }
}
