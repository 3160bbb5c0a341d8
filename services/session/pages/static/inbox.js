// The development inbox shows a new mail as soon as it is there.

const shown = document.querySelector("[data-inbox]").dataset;

setInterval(async () => {
  const answer = await fetch(shown.listing).catch(() => null);
  if (!answer?.ok) return;
  const { messages } = await answer.json();
  if ((messages[0]?.id ?? "") !== shown.inbox) location.reload();
}, 2000);
