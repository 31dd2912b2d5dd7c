"use strict";

const report = JSON.parse(document.getElementById("data").textContent);
const player = new Player(report.sampleRate);
const library = new ClipLibrary(player.context, report.assets);
const registerClip = (name, text) => library.register(name, text); // called by the scripts of `assets`
const itemView = new ItemView(report, player, library);
const itemTable = new ItemTable(report, (index) => chooseItem(index));
let listeningTest = null;
player.onChange = () => itemView.showCurrent();

function chooseItem(index) {
  itemTable.draw(index);
  return itemView.open(report.items[index], player.current);
}

new TestForm(report, (setup) => {
  player.pause();
  listeningTest = new ListeningTest(report, library, setup, () => (listeningTest = null));
  listeningTest.begin();
});

const KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: () => player.seek(player.position - 1),
  ArrowRight: () => player.seek(player.position + 1),
  ArrowUp: () => chooseItem(itemTable.neighbour(-1)),
  ArrowDown: () => chooseItem(itemTable.neighbour(1)),
  "[": () => itemView.setRegionEnd("start"),
  "]": () => itemView.setRegionEnd("end"),
  l: () => find("#loop").click(),
  m: () => find("#match-loudness").click(),
};

function handleKey(key) {
  if (listeningTest) return listeningTest.handleKey(key);
  if (/^[0-9]$/.test(key)) player.switchTo(Number(key));
  else if (KEYS[key]) KEYS[key]();
  else return false;
  return true;
}

/** Whether an element needs this key itself: text fields all, lists and sliders some, buttons the space bar. */
function usesKey(target, key) {
  if (target.matches("input:not([type]), input[type=number]")) return true;
  if (target.matches("select, input[type=range], input[type=radio]")) return key.startsWith("Arrow") || (key === " " && !target.matches("[type=range]"));
  return key === " " && target.matches("button:not(.version, .listen), input, a");
}

document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey || event.altKey || usesKey(event.target, key)) return;
  if (handleKey(key)) event.preventDefault();
});

find("#previous-item").onclick = () => chooseItem(itemTable.neighbour(-1));
find("#next-item").onclick = () => chooseItem(itemTable.neighbour(1));
// the clips stand behind the scripts
document.addEventListener("DOMContentLoaded", () => chooseItem(itemTable.order[0]));
