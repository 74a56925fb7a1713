// Keeps the token until the tab closes, for this tab alone.
const KEPT = "tasks-api-authorization";

const keepToken = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (authorize) => (payload) => {
          sessionStorage.setItem(KEPT, JSON.stringify(payload));
          return authorize(payload);
        },
        logout: (logout) => (names) => {
          sessionStorage.removeItem(KEPT);
          return logout(names);
        },
      },
    },
  },
});

// A link may bring a token in its fragment, which no server and no log gets. It is read once and removed.
function takeToken() {
  const token = /^#token=([\w.-]+)$/.exec(location.hash)?.[1];
  if (token) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

// Not preauthorizeApiKey, which keepToken does not see.
const authorize = (value) =>
  ui.authActions.authorize({ token: { name: "token", value, schema: { type: "http", scheme: "bearer" } } });

const linked = takeToken();
const page = document.getElementById("docs");
const ui = SwaggerUIBundle({
  domNode: page,
  url: page.dataset.document,
  plugins: [keepToken],
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete: () => {
    const kept = sessionStorage.getItem(KEPT);
    if (linked) authorize(linked);
    else if (kept) ui.authActions.authorize(JSON.parse(kept));
  },
});

// The link may be opened in a tab that shows this page already.
addEventListener("hashchange", () => {
  const token = takeToken();
  if (token) authorize(token);
});
