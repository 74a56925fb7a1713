/** The form to sign in or to create an account. */
import { currentUser, rememberUser, signIn, signUp } from "./auth.js";
import { find } from "./dom.js";

const page = find("#sign-in");
const form = find("form", page);
const { name, email, password } = form.elements;

/** Show the form; `sync` is the copy of a user whose session has ended. */
export function showSignIn(sync, knownEmail = "") {
  const changes = sync?.status.pending === 1 ? "1 change" : `${sync?.status.pending} changes`;
  const warning = `Sign in again to save ${changes}. Signing in as somebody else deletes them here.`;
  if (sync?.status.pending) find("p", page).textContent = warning;
  email.value = knownEmail;
  setMode(false);
  page.hidden = false;
  find(knownEmail ? "[type=password]" : "[type=email]", page).focus();

  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      const credentials = { email: email.value, password: password.value };
      const user = await (name.disabled ? signIn(credentials) : signUp({ name: name.value, ...credentials }));
      if (sync && currentUser().id !== user.id) await sync.clear();
      rememberUser(user);
      location.reload();
    } catch (error) {
      find(".problem", page).textContent = error.message;
    }
  };
}

find(".link", page).addEventListener("click", () => setMode(name.disabled));

function setMode(signingUp) {
  name.disabled = !signingUp;
  password.autocomplete = signingUp ? "new-password" : "current-password";
  find("h1", page).textContent = signingUp ? "Sign up" : "Sign in";
  find(".primary", page).textContent = signingUp ? "Create account" : "Sign in";
  find(".switch", page).textContent = signingUp ? "You have an account?" : "New here?";
  find(".link", page).textContent = signingUp ? "Sign in" : "Create an account";
  find(".problem", page).textContent = "";
}
