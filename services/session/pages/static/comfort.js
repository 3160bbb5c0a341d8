// Comfort for those who have scripts: nothing here is needed to use a page.

const all = (selector) => document.querySelectorAll(selector);

// What only works with a script is shown only with one.
for (const element of all("[data-script]")) element.hidden = false;

// Passwords can be looked at.
for (const button of all("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    input.focus();
  });
  input.form.addEventListener("submit", () => { input.type = "password"; });
}

// Texts can be copied; the button says so where it is, and to who listens.
for (const button of all("[data-copy]")) {
  const words = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = words; }, 2500);
  });
}

// Where the menu is wider than the screen, it begins with where one is.
document.querySelector(".menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

for (const button of all("[data-print]")) button.addEventListener("click", () => print());

// Times are shown, on asking, as they are where the reader is.
const format = new Intl.DateTimeFormat(document.documentElement.lang, {
  dateStyle: "full", timeStyle: "short",
});
for (const time of all("time[datetime]")) time.title = format.format(new Date(time.dateTime));

// A form is sent once, however often its button is pressed.
for (const form of all("form[method=post]:not([data-ceremony])")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
  });
}
addEventListener("pageshow", () => {
  for (const form of all("form[data-sent]")) delete form.dataset.sent;
  for (const button of all("[aria-busy]")) button.removeAttribute("aria-busy");
});
