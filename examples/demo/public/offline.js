/** Keep the page itself: the service worker shows it when it is loaded without a connection. */

export async function keepPage() {
  if (!navigator.onLine) return;
  await navigator.serviceWorker.register("sw.js");
  const loaded = performance.getEntriesByType("resource").map(({ name }) => new URL(name));
  const files = loaded.filter(({ origin, pathname }) => origin === location.origin && !pathname.startsWith("/api/"));
  await (await caches.open("page")).addAll(["/", ...new Set(files.map(({ pathname }) => pathname))]);
}
