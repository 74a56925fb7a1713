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
    if (kept) ui.authActions.authorize(JSON.parse(kept));
  },
});
