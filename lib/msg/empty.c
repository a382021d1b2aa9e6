typedef int mayday_empty;
